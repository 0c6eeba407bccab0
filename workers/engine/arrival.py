"""One arrival on its way through the engine, and the groups that it is counted in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from workers.contract.schedule import ClosedArrivals, OpenArrivals
from workers.contract.snapshot import JUDGED

NS = 1_000_000_000

Groups = Callable[[int, Mapping[str, str]], tuple[str, ...]]
"""From intended time (ns of the phase) and the row's tags to a judged request's groups, JUDGED first."""


@dataclass(slots=True)
class Arrival:
    """Arrival `index`, intended at `at_ns` of the phase and `intended_ns` of the monotonic clock.

    `queued_ns`: when the dispatcher gave it away; `wait_ns`: how long it then stood in line for a user.
    `decided`: sent, or given up for good.
    """

    index: int
    at_ns: int
    intended_ns: int
    queued_ns: int
    wait_ns: int = 0
    sent_ns: int = 0
    decided: bool = False
    ended: bool = False
    groups: tuple[str, ...] = (JUDGED,)
    request_id: str = ""

    @property
    def second(self) -> int:
        """The second of the phase that it belongs to."""
        return self.at_ns // NS


def grouping(
    arrivals: OpenArrivals | ClosedArrivals | None, tag_groups: tuple[tuple[str, str], ...]
) -> Groups:
    """Say where judged requests count; "stage" is a tag that the schedule's segments give."""
    wanted = [(tag, value, f"{tag}={value}") for tag, value in tag_groups]
    stages = _stages(arrivals) if isinstance(arrivals, OpenArrivals) else ()

    def groups(at_ns: int, tags: Mapping[str, str]) -> tuple[str, ...]:
        if not wanted:
            return (JUDGED,)
        stage = next((name for until_ns, name in stages if at_ns < until_ns), "")
        named = [name for tag, value, name in wanted if (stage if tag == "stage" else tags.get(tag)) == value]
        return (JUDGED, *named)

    return groups


def _stages(arrivals: OpenArrivals) -> tuple[tuple[int, str], ...]:
    return tuple((round(segment.end_s * NS), segment.stage) for segment in arrivals.segments)
