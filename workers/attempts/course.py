"""How far an attempt has come, in a line for people: share done, rate and p99; and what it came to."""

from workers.chaos.contract import FaultEvent
from workers.contract.facts import Exited
from workers.contract.sketch import EMPTY, Sketch, from_wire, merge, merge_all
from workers.contract.snapshot import JUDGED, WARMUP, Snapshot
from workers.contract.spec import ChaosSpec, LoadSpec, RegressionSpec, ShardTask, share

SHORTEST_S = 0.2
"""A rate over less time than this says nothing."""
FIRST_S = 1.5
"""A first snapshot covers no more, however long the phase had run when its attempt took over."""


class Course:
    """An engine attempt so far: its snapshots added up."""

    def __init__(self, spec: LoadSpec | RegressionSpec, task: ShardTask) -> None:
        self._duration_s = spec.arrivals.duration_s if isinstance(spec, LoadSpec) else 0.0
        self._cases = 0
        if isinstance(spec, RegressionSpec):
            self._cases = share(spec.cases, task.shard, task.of)
        self._judged = len(task.skip_rows)
        self._failed = self._sent = 0
        self._share = 0.0
        self._latency = EMPTY
        self._at_s: float | None = None

    def hear(self, snapshot: Snapshot, *, phase_s: float) -> str:
        """Take in one second, and tell it: `40% · 812 req/s · p99 34 ms`; `phase_s` since the phase began."""
        span_s = min(phase_s, FIRST_S) if self._at_s is None else snapshot.at_s - self._at_s
        self._at_s = snapshot.at_s
        self._sent += snapshot.sent
        self._judged += len(snapshot.cases)
        self._failed += sum(not one.passed for one in snapshot.cases)
        latency = _latency(snapshot)
        self._latency = merge(self._latency, latency)
        if self._duration_s:
            self._share = phase_s / self._duration_s
            unit, count = "req/s", snapshot.sent
        else:
            self._share = self._judged / self._cases if self._cases else 0.0
            unit, count = "cases/s", len(snapshot.cases)
        rate = f"{count / span_s:,.0f} {unit}" if span_s >= SHORTEST_S else ""
        return _joined(self._percent(), rate, _p99(latency))

    def end(self, exited: Exited) -> str:
        """What it came to: `100% · 48,000 sent · p99 34 ms`, and why it ended early where it did."""
        if exited.outcome == "done":
            self._share = 1.0
        amount = f"{self._sent:,} sent"
        if not self._duration_s:
            amount = f"{self._judged:,} cases" + (f", {self._failed:,} failed" if self._failed else "")
        early = "" if exited.outcome == "done" else f"{exited.outcome}: {exited.why}"
        return _joined(self._percent(), amount, _p99(self._latency), early)

    def _percent(self) -> str:
        known = self._duration_s or self._cases
        return f"{min(100, max(0, int(100 * self._share)))}%" if known else ""


class FaultCourse:
    """The faults of an activity so far: waiting for their time, held, over. Times are of the common clock."""

    def __init__(self, spec: ChaosSpec) -> None:
        self._steps = spec.steps
        self._hidden = spec.hidden
        self._injected_s: dict[int, float] = {}
        self._last: dict[int, str] = {}

    def hear(self, event: FaultEvent, step: int) -> None:
        """Take in what became of a step."""
        match event.what:
            case "injected":
                self._injected_s[step] = event.at_s
            case "verified" if not event.took_effect:
                self._last.setdefault(step, f"no effect: {event.why}")
            case "reverted":
                self._last[step] = "reverted"
            case "residue" | "failed":
                self._last[step] = f"{event.what}: {event.why}"

    def words(self, now_s: float) -> str:
        """`waiting, at 30 s`, `injected, 12 s left`, `reverted`; of several: the first that is not over."""
        if self._hidden:
            return "hidden"
        going = next((number for number in range(len(self._steps)) if number not in self._last), None)
        if going is None:
            return self._of(self._last[len(self._steps) - 1], len(self._steps) - 1)
        step = self._steps[going]
        if going not in self._injected_s:
            return self._of(f"waiting, at {step.at_s:g} s", going)
        left_s = self._injected_s[going] + step.for_s - now_s
        return self._of(f"injected, {max(0.0, left_s):.0f} s left" if step.for_s else "injected", going)

    def _of(self, words: str, number: int) -> str:
        several = len(self._steps) > 1
        return (
            f"{number + 1} of {len(self._steps)}, {self._steps[number].fault}: {words}" if several else words
        )


def _latency(snapshot: Snapshot) -> Sketch:
    wires = (cell.sketches.get("latency") for cell in snapshot.cells if cell.group in (JUDGED, WARMUP))
    return merge_all(from_wire(wire) for wire in wires if wire is not None)


def _p99(latency: Sketch) -> str:
    return f"p99 {latency.quantile(0.99) * 1000:,.0f} ms" if latency.count else ""


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)
