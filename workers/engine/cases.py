"""A batch of a regression: each golden case sent once a round, judged, reported after its last one."""

import time
from collections import deque
from collections.abc import Sequence

import gevent
from msgspec import structs

from workers.contract.errors import DataError, ProtocolError
from workers.contract.files.golden import MAX_PROBLEMS, Case, read_golden
from workers.contract.snapshot import CaseResult
from workers.contract.spec import RegressionSpec
from workers.engine import wire
from workers.engine.arrival import NS, Arrival, grouping
from workers.engine.gear import Gear
from workers.engine.measure import OK
from workers.engine.sender import Sender
from workers.protocols.contract import Answer, TargetProtocol
from workers.regression.rules import check_cases, judge_case, parse_rules

SETTLE_S = 0.02
NOT_SENT = frozenset({"unauthorised", "unsent_generator"})
"""Outcomes on this side: such a case was not asked, so another attempt has to."""


class Cases:
    """One attempt at a batch: cases i with i modulo the number of batches = shard, not yet judged."""

    def __init__(self, spec: RegressionSpec, *, gear: Gear, files: dict[str, str]) -> None:
        self._gear = gear
        self._rules = parse_rules(spec.compare)
        cases = read_golden(files.get(spec.golden.sha256, spec.golden.name))[: spec.limit]
        check_cases(cases, self._rules, path=spec.golden.name)
        task = gear.task
        skipped = set(task.skip_rows)
        mine = [row for row in range(len(cases)) if row % task.of == task.shard and row not in skipped]
        prove_requests([cases[row] for row in mine], gear.protocol, path=spec.golden.name)
        self._queue = deque(
            (round_ * len(cases) + row, row, cases[row]) for round_ in range(spec.repeats) for row in mine
        )
        self._groups = grouping(None, spec.tag_groups)
        self._repeats = spec.repeats
        self._tries: dict[int, list[CaseResult]] = {}
        self._working = 0
        self._results: list[CaseResult] = []
        self._sender: Sender
        self.fingerprint = ""
        self.stopped = False

    def run(self, sender: Sender, begin: wire.Begin) -> None:  # noqa: ARG002  # untimed
        """Send and judge every case, as many at once as this batch may; returns when all are judged."""
        self._sender = sender
        gevent.sleep(max(-sender.book.clock.now_ns(), 0) / NS)
        self._gear.crowd.employ(self)
        self._working = min(self._gear.cap, len(self._queue))
        for _ in range(self._working):
            self._gear.crowd.add()
        while self._working and not self.stopped:
            gevent.sleep(SETTLE_S)

    def drain(self) -> list[CaseResult]:
        """Results since the last call."""
        results, self._results = self._results, []
        return results

    def close(self) -> None:
        """Nothing is held."""

    def work(self) -> None:
        """One user's part: take the next case, send it, judge the answer."""
        try:
            while self._queue and not self.stopped:
                wait_ns = self._gear.ceiling.wait_ns(time.monotonic_ns())
                if wait_ns or not self._gear.ceiling.admits(time.monotonic_ns()):
                    gevent.sleep(wait_ns / NS)
                    continue
                self._case(*self._queue.popleft())
        finally:
            self._working -= 1

    def _case(self, index: int, row: int, case: Case) -> None:
        book = self._sender.book
        arrival = Arrival(index, max(book.clock.now_ns(), 0), time.monotonic_ns(), time.monotonic_ns())
        book.handed(arrival, following=self._queue[0][0] if self._queue else index + 1)
        arrival.groups = self._groups(arrival.at_ns, case.tags)
        answer = self._sender.send(arrival, self._gear.protocol.build(case.request))
        if arrival.ended and answer.kind not in NOT_SENT:
            tries = self._tries.setdefault(row, [])
            result = self._judged(row, case, arrival=arrival, answer=answer)
            tries.append(result)
            if not result.passed:
                book.recorder.missed(arrival.second, arrival.groups, result.outcome)
            if len(tries) == self._repeats:
                self._results.append(together(self._tries.pop(row)))

    def _judged(self, row: int, case: Case, *, arrival: Arrival, answer: Answer) -> CaseResult:
        latency_s = (time.monotonic_ns() - arrival.intended_ns) / NS
        verdict = judge_case(case, answer, self._rules)
        return CaseResult(
            row=row,
            case=case.id,
            outcome=OK if answer.ok else answer.kind,
            passed=verdict.passed,
            why=verdict.why,
            latency_s=latency_s,
            weight=case.weight,
            tags=case.tags,
        )


def prove_requests(cases: Sequence[Case], protocol: TargetProtocol, *, path: str) -> None:
    """Raises DataError with the lines of the cases that the protocol can make no request of."""
    problems: list[str] = []
    for case in cases:
        try:
            protocol.build(case.request)
        except ProtocolError as error:
            problems.append(f"line {case.line}: {error}")
            if len(problems) == MAX_PROBLEMS:
                break
    if problems:
        raise DataError("\n".join([f"{path} cannot be sent:", *problems]))


def together(tries: Sequence[CaseResult]) -> CaseResult:
    """All tries at one case as one result: passed where every try did, else the first that failed speaks."""
    failed = [number for number, one in enumerate(tries, start=1) if not one.passed]
    if not failed:
        return tries[0]
    speaks = tries[failed[0] - 1]
    if len(tries) == 1:
        return speaks
    why = f"{len(failed)} of {len(tries)} tries failed; try {failed[0]}: {speaks.why}"
    return structs.replace(speaks, why=why)
