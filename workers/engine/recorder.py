"""Collects what requests measured, by second of intended time and group, until the next snapshot.

Values are appended to plain lists as requests end and bucketed with numpy once a second: 0.1 µs a value.
"""

from collections.abc import Iterator, Sequence

from workers.contract.bounds import Bound, BoundCount
from workers.contract.sketch import SketchWire, sketch_of, to_wire
from workers.contract.snapshot import Cell, ErrorExample
from workers.engine.breath import breathe
from workers.engine.measure import OK, Measured, count

EXAMPLES_AN_OUTCOME = 5
EXAMPLE_CHARS = 300
Counted = list[tuple[int, int, int]]


class _Cell:
    """Raw deltas of one second and group."""

    __slots__ = ("bounds", "input_tokens", "outcomes", "output_tokens", "series", "without_tokens")

    def __init__(self, bounds: int) -> None:
        self.outcomes: dict[str, int] = {}
        self.bounds = [[0, 0, 0] for _ in range(bounds)]
        self.series: dict[str, list[float]] = {
            name: []
            for name in (
                "latency", "service_time", "wait", "connect", "lag", "latency_failed",
                "ttft", "ttft_sent", "ttfot", "tpot", "itl",
            )
        }  # fmt: skip
        self.input_tokens = 0
        self.output_tokens = 0
        self.without_tokens = 0


class Recorder:
    """Where ended requests are counted; `drain` hands over and forgets."""

    __slots__ = ("_bounds", "_cells", "_examples", "_ids", "dropped")

    def __init__(self, bounds: Sequence[Bound]) -> None:
        self._bounds = tuple(bounds)
        self._ids = [bound.id for bound in bounds]
        self._cells: dict[tuple[int, str], _Cell] = {}
        self._examples: dict[str, list[ErrorExample]] = {}
        self.dropped = 0

    def counted(self, sample: Measured) -> Counted:
        """What a request that ended ok, failed or target-unsent adds to each bound."""
        return [count(bound, sample) for bound in self._bounds]

    def ended(
        self,
        second: int,
        groups: Sequence[str],
        *,
        sample: Measured,
        sent: bool,
        counted: Counted,
        tokens: tuple[int | None, int | None] = (None, None),
    ) -> None:
        """Count a request that is over; `tokens`: (input, output) of its answer, None where unknown."""
        for group in groups:
            cell = self._cell(second, group)
            cell.outcomes[sample.outcome] = cell.outcomes.get(sample.outcome, 0) + 1
            for sums, (n, over, less) in zip(cell.bounds, counted, strict=True):
                sums[0] += n
                sums[1] += over
                sums[2] += less
            if sent:
                cell.series["lag"].append(sample.lag)
                cell.series["connect"].append(sample.connect)
            if sample.outcome == OK:
                _append_ok(cell, sample, tokens)
            else:
                cell.series["latency_failed"].append(sample.latency)

    def given_up(
        self, second: int, groups: Sequence[str], outcome: str, counted: Counted | None = None
    ) -> None:
        """Count an arrival that has no times: unsent or abandoned; only target-unsent ones have bounds."""
        for group in groups:
            cell = self._cell(second, group)
            cell.outcomes[outcome] = cell.outcomes.get(outcome, 0) + 1
            for sums, (n, over, less) in zip(cell.bounds, counted or (), strict=False):
                sums[0] += n
                sums[1] += over
                sums[2] += less

    def example(self, outcome: str, text: str, *, request_id: str, intended_s: float) -> None:
        """Keep a failed request's reason, if it is among the first few different ones of its outcome."""
        kept = self._examples.setdefault(outcome, [])
        text = text[:EXAMPLE_CHARS]
        if any(example.text == text for example in kept):
            return
        if len(kept) >= EXAMPLES_AN_OUTCOME:
            self.dropped += 1
            return
        kept.append(ErrorExample(outcome, text, request_id, intended_s))

    def drain(self) -> list[Cell]:
        """All cells since the last call; lets others run after each, so that bucketing adds no lag."""
        cells, self._cells = self._cells, {}
        ready = []
        for (second, group), cell in cells.items():
            ready.append(self._bucketed(second, group, cell))
            breathe()
        return ready

    def drain_examples(self) -> list[ErrorExample]:
        """All examples since the last call."""
        examples, self._examples = self._examples, {}
        return [example for kept in examples.values() for example in kept]

    def _cell(self, second: int, group: str) -> _Cell:
        cell = self._cells.get((second, group))
        if cell is None:
            cell = self._cells[second, group] = _Cell(len(self._bounds))
        return cell

    def _bucketed(self, second: int, group: str, cell: _Cell) -> Cell:
        bounds = {
            name: BoundCount(*sums) for name, sums in zip(self._ids, cell.bounds, strict=True) if sums[0]
        }
        return Cell(
            second,
            group,
            cell.outcomes,
            bounds,
            dict(_sketches(cell)),
            cell.input_tokens,
            cell.output_tokens,
            cell.without_tokens,
        )


def _append_ok(cell: _Cell, sample: Measured, tokens: tuple[int | None, int | None]) -> None:
    series = cell.series
    series["latency"].append(sample.latency)
    series["service_time"].append(sample.service_time)
    series["wait"].append(sample.wait)
    if sample.ttft is not None and sample.ttft_sent is not None:
        series["ttft"].append(sample.ttft)
        series["ttft_sent"].append(sample.ttft_sent)
        series["itl"].extend(sample.itl)
    if sample.ttfot is not None:
        series["ttfot"].append(sample.ttfot)
    if sample.tpot is not None:
        series["tpot"].append(sample.tpot)
    given, made = tokens
    cell.input_tokens += given or 0
    cell.output_tokens += made or 0
    cell.without_tokens += made is None


def _sketches(cell: _Cell) -> Iterator[tuple[str, SketchWire]]:
    for name, values in cell.series.items():
        if values:
            yield name, to_wire(sketch_of(values))
