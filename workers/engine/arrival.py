"""One arrival on its way through the engine, and the groups that it is counted in."""

from collections.abc import Callable, Mapping

import msgspec

from workers.contract.schedule import ClosedArrivals, OpenArrivals
from workers.contract.snapshot import JUDGED

NS = 1_000_000_000

Groups = Callable[[int, Mapping[str, str]], tuple[str, ...]]
"""From intended time (ns of the phase) and the row's tags to a judged request's groups, JUDGED first."""


class Arrival(msgspec.Struct, eq=False):  # one is made for each request: a third of a dataclass's time
    """Arrival `index`, intended at `at_ns` of the phase and `intended_ns` of the monotonic clock.

    `queued_ns`: when the dispatcher gave it away; `wait_ns`: how long it then stood in line for a user.
    `decided`: sent, or given up for good. `tags`: of its row, where it has any.
    `cell`: its place in the mark file, once it was handed over.
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
    tags: Mapping[str, str] | None = None
    cell: int = -1

    @property
    def second(self) -> int:
        """The second of the phase that it belongs to."""
        return self.at_ns // NS


def grouping(
    arrivals: OpenArrivals | ClosedArrivals | None, tag_groups: tuple[tuple[str, str], ...]
) -> Groups:
    """Say where judged requests count; "stage" is a tag that the schedule's segments give."""
    wanted: dict[str, dict[str | None, str]] = {}
    for tag, value in tag_groups:
        wanted.setdefault(tag, {})[value] = f"{tag}={value}"
    by_stage = wanted.pop("stage", {})
    stages = _stages(arrivals) if isinstance(arrivals, OpenArrivals) else ()

    def groups(at_ns: int, tags: Mapping[str, str]) -> tuple[str, ...]:
        found = [JUDGED]
        if by_stage:
            stage = next((name for until_ns, name in stages if at_ns < until_ns), "")
            if stage in by_stage:
                found.append(by_stage[stage])
        for tag, names in wanted.items():
            name = names.get(tags.get(tag))
            if name is not None:
                found.append(name)
        return tuple(found)

    return groups if tag_groups else lambda at_ns, tags: (JUDGED,)  # noqa: ARG005


def _stages(arrivals: OpenArrivals) -> tuple[tuple[int, str], ...]:
    return tuple((round(segment.end_s * NS), segment.stage) for segment in arrivals.segments)
