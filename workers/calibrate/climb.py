"""A rate that climbs in steps, and what the engine's own numbers say of each step. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from workers.contract.calibration import LAG_P99_S
from workers.contract.schedule import OpenArrivals, Segment, per_second
from workers.contract.sketch import Sketch, from_wire, merge_all
from workers.contract.snapshot import JUDGED, UNSENT_GENERATOR, Cell, Snapshot

OK = "ok"
STREAM = "calibration"
LEAST_SHARE = 0.99
"""Of the arrivals of a step that must have been answered well."""
BUSY = 0.8
"""Of a core: a process that used more of it in a step was what limited."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rate, held from `start_s` to `end_s` of the climb; its first `settle_s` are not looked at."""

    per_s: float
    start_s: int
    end_s: int
    settle_s: int = 0

    @property
    def seconds(self) -> range:
        """The whole seconds that are looked at."""
        return range(self.start_s + self.settle_s, self.end_s)


@dataclass(frozen=True, slots=True)
class Seen:
    """What an engine said of one step: its lateness in the median second, and what share was answered."""

    step: Step
    lag_p99_s: float
    hub_delay_p99_s: float
    answered: float
    unsent: int
    failed: int

    @property
    def kept(self) -> bool:
        """Whether the engine kept up."""
        late = max(self.lag_p99_s, self.hub_delay_p99_s) > LAG_P99_S
        return not late and self.answered >= LEAST_SHARE


def steps(*, first: float, factor: float, most: float, step_s: int, settle_s: int) -> tuple[Step, ...]:
    """Rates from `first` up, each `factor` times the one before, to `most`; each held for `step_s`."""
    rates = [first]
    while rates[-1] * factor <= most:
        rates.append(rates[-1] * factor)
    return tuple(Step(round(rate), at * step_s, (at + 1) * step_s, settle_s) for at, rate in enumerate(rates))


def schedule_of(climb: Sequence[Step]) -> OpenArrivals:
    """The climb as Poisson arrivals: evenly spaced ones would flatter."""
    segments = tuple(Segment(step.start_s, step.end_s, step.per_s, step.per_s) for step in climb)
    return OpenArrivals("poisson", segments, seed=1, stream=STREAM)


def seen_in(step: Step, snapshots: Sequence[Snapshot], *, start_s: float, arrivals: OpenArrivals) -> Seen:
    """Judge one step of `arrivals` by its engine's snapshots; `start_s`: the climb's second 0 on their clock.

    Lag counts by the second of intended time, hub delay by that of the snapshot, which tells of the second
    before it; of each the median second counts.
    """
    wanted = step.seconds
    cells = [
        cell for one in snapshots for cell in one.cells if cell.group == JUDGED and cell.second in wanted
    ]
    lags = {
        second: [from_wire(one.sketches["lag"]) for one in cells if _tells(one, second)] for second in wanted
    }
    delays = [
        from_wire(one.hub_delay)
        for one in snapshots
        if one.hub_delay is not None and wanted.start < one.at_s - start_s <= wanted.stop + 1
    ]
    ok = sum(cell.outcomes.get(OK, 0) for cell in cells)
    unsent = sum(cell.outcomes.get(UNSENT_GENERATOR, 0) for cell in cells)
    every = sum(sum(cell.outcomes.values()) for cell in cells)
    return Seen(
        step=step,
        lag_p99_s=_typical(merge_all(told) for told in lags.values()),
        hub_delay_p99_s=_typical(delays),
        answered=ok / max(1, int(per_second(arrivals)[wanted.start : wanted.stop].sum())),
        unsent=unsent,
        failed=every - ok - unsent,
    )


def _tells(cell: Cell, second: int) -> bool:
    return cell.second == second and "lag" in cell.sketches


def _typical(seconds: Iterable[Sketch]) -> float:
    """The p99 of the median second: one second in which others had the processor is not the engine's."""
    return median([one.quantile(0.99) for one in seconds if one.count] or [0.0])


def is_disturbed(broken: Seen | None, *, engine_busy: float, server_busy: float) -> bool:
    """Whether it was neither the engine nor its server that could do no more."""
    return broken is not None and max(engine_busy, server_busy) < BUSY


def limited_by(broken: Seen | None, *, engine_busy: float, server_busy: float) -> str:
    """What ended a climb, in words. `broken`: the first step not kept; None where the highest was."""
    if broken is None:
        return "nothing: the highest rate tried was kept"
    rate = f"{broken.step.per_s:,.0f}/s"
    late_s = max(broken.lag_p99_s, broken.hub_delay_p99_s)
    late = f"p99 of lateness {late_s * 1000:.3g} ms at {rate}"
    if broken.answered < LEAST_SHARE:
        late = f"{broken.answered:.0%} of {rate} were answered in time"
    if broken.failed:
        late = f"{broken.failed:,} requests failed at {rate}"
    if server_busy >= BUSY > engine_busy:
        return f"the server it was measured with, not the engine ({late})"
    if engine_busy >= BUSY:
        return f"the engine's core ({late})"
    return f"lateness with {engine_busy:.0%} of the engine's core busy: others use this host ({late})"
