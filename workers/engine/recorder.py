"""Collects what requests measured, by second of intended time and group, until the next snapshot.

Values are appended to flat arrays as requests end and bucketed with numpy once a second: 0.1 µs a value.
"""

from collections.abc import Sequence

from workers.contract.bounds import Bound
from workers.contract.snapshot import (
    JUDGED,
    MISSED_GROUP,
    OUTCOME_GROUP,
    OWN_DELAY,
    TRIES_GROUP,
    Cell,
    ErrorExample,
)
from workers.engine.breath import breathe
from workers.engine.cells import Counted, RawCell
from workers.engine.measure import OK, Measured, Times, count, count_plain, least_bound_ns

EXAMPLES_AN_OUTCOME = 5
EXAMPLE_CHARS = 300
NO_TOKENS = (None, None)
MOST_WAYS = 20
"""Outcomes of failed requests that have times of their own: a target can answer with any status."""


class Recorder:
    """Where ended requests are counted; `drain` hands over and forgets."""

    __slots__ = (
        "_bounds", "_cells", "_examples", "_fine", "_ids", "_least_latency_ns", "_least_service_ns",
        "_least_wait_ns", "_ways", "dropped",
    )  # fmt: skip

    def __init__(self, bounds: Sequence[Bound]) -> None:
        self._bounds = tuple(bounds)
        self._ids = [bound.id for bound in bounds]
        self._fine: Counted = tuple(count_plain(bounds, (0, 0, 0, 0, 0, 0)))
        self._least_latency_ns = least_bound_ns(bounds, "latency")
        self._least_service_ns = least_bound_ns(bounds, "service_time")
        self._least_wait_ns = least_bound_ns(bounds, "wait")
        self._cells: dict[tuple[int, str], RawCell] = {}
        self._examples: dict[str, list[ErrorExample]] = {}
        self._ways: set[str] = set()
        self.dropped = 0

    def counted(self, sample: Measured) -> Counted:
        """What a request that ended ok, failed or target-unsent adds to each bound."""
        return [count(bound, sample) for bound in self._bounds]

    def counted_plain(self, times: Times) -> Counted:
        """The same of an ok request without the times of a stream; most of them break no limit."""
        if (
            times[0] < self._least_latency_ns
            and times[1] < self._least_service_ns
            and times[2] < self._least_wait_ns
        ):
            return self._fine
        return count_plain(self._bounds, times)

    def ended_plain(
        self,
        second: int,
        groups: Sequence[str],
        *,
        times: Times,
        counted: Counted,
        tokens: tuple[int | None, int | None],
    ) -> None:
        """Count an ok request that was sent and has no times of a stream."""
        for group in groups:
            cell = self._cells.get((second, group)) or self._cell(second, group)
            cell.plain.extend(times)
            if counted is self._fine:
                cell.fine += 1
            else:
                cell.add(counted)
            if tokens == NO_TOKENS:
                cell.without_tokens += 1
            else:
                cell.add_tokens(*tokens)

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
            cell.add(counted)
            if sent:
                cell.series["lag"].append(sample.lag)
                cell.series["connect"].append(sample.connect)
                cell.series[OWN_DELAY].append(sample.own_delay)
            if sample.outcome == OK:
                cell.add_ok(sample)
                cell.add_tokens(*tokens)
            else:
                cell.series["latency_failed"].append(sample.latency)
        if sample.outcome != OK and groups[0] == JUDGED:
            self._failed(second, sample)

    def _failed(self, second: int, sample: Measured) -> None:
        """Keep how long it took once more, by how it failed; of very many ways only the first ones."""
        if sample.outcome not in self._ways:
            if len(self._ways) >= MOST_WAYS:
                return
            self._ways.add(sample.outcome)
        cell = self._cell(second, OUTCOME_GROUP + sample.outcome)
        cell.outcomes[sample.outcome] = cell.outcomes.get(sample.outcome, 0) + 1
        cell.series["latency_failed"].append(sample.latency)

    def given_up(
        self, second: int, groups: Sequence[str], outcome: str, counted: Counted | None = None
    ) -> None:
        """Count an arrival that has no times: unsent or abandoned; only target-unsent ones have bounds."""
        for group in groups:
            cell = self._cell(second, group)
            cell.outcomes[outcome] = cell.outcomes.get(outcome, 0) + 1
            if counted is not None:
                cell.add(counted)

    def missed(self, second: int, groups: Sequence[str], outcome: str) -> None:
        """Count once more a golden case's request that is over, and was not answered as the case expects."""
        for group in groups:
            cell = self._cell(second, MISSED_GROUP + group)
            cell.outcomes[outcome] = cell.outcomes.get(outcome, 0) + 1

    def tried(self, second: int, tries: int) -> None:
        """Count a request of a client that tries again, by its tries, once it is over."""
        cell = self._cell(second, TRIES_GROUP)
        cell.outcomes[str(tries)] = cell.outcomes.get(str(tries), 0) + 1

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

    def newest(self, outcome: str) -> str:
        """Id of the request that was kept last as an example of an outcome, "" where there is none."""
        kept = self._examples.get(outcome)
        return kept[-1].request_id if kept else ""

    def drain(self) -> list[Cell]:
        """All cells since the last call; lets others run after each, so that bucketing adds no lag."""
        cells, self._cells = self._cells, {}
        ready = []
        for (second, group), cell in cells.items():
            ready.append(cell.bucketed(second, group, ids=self._ids, fine=self._fine))
            breathe()
        return ready

    def drain_examples(self) -> list[ErrorExample]:
        """All examples since the last call."""
        examples, self._examples = self._examples, {}
        return [example for kept in examples.values() for example in kept]

    def _cell(self, second: int, group: str) -> RawCell:
        cell = self._cells.get((second, group))
        if cell is None:
            cell = self._cells[second, group] = RawCell(len(self._bounds))
        return cell
