"""Clients that try again: pauses with jitter, a budget, a circuit breaker; one arrival stays one request.

The user's slot stays taken through all tries and pauses, as a real client's would. Latency runs from the
intended time to the last byte of the last try; sent is the first byte of the first try that wrote one.
"""

import copy
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random

import gevent

from workers.contract.behaviour import Retries
from workers.contract.snapshot import UNSENT_TARGET, RetryCounts
from workers.engine.arrival import NS, Arrival
from workers.engine.breaker import Circuit
from workers.engine.ceiling import Ceiling
from workers.engine.exchange import Exchange
from workers.engine.sender import NEVER_SENT, Sender, no_answer
from workers.engine.trailing import Trailing
from workers.engine.witness import Asked
from workers.protocols.contract import Answer, Request

BUDGET_OVER_NS = 10 * NS
BROKEN = "the client's breaker is open: the target failed too often; it was not sent"


class Budget:
    """Which share of the requests of the last 10 s may be tried again; None is all."""

    __slots__ = ("_again", "_begun", "_share")

    def __init__(self, share: float | None) -> None:
        self._share = share
        self._begun = Trailing(BUDGET_OVER_NS)
        self._again = Trailing(BUDGET_OVER_NS)

    def begun(self, now_ns: int) -> None:
        """A request is tried for the first time."""
        if self._share is not None:
            self._begun.add(now_ns)

    def takes(self, now_ns: int) -> bool:
        """Take one more try's room if there is any."""
        if self._share is None:
            return True
        self._begun.forget(now_ns)
        self._again.forget(now_ns)
        if self._again.total + 1 > self._share * self._begun.total:
            return False
        self._again.add(now_ns)
        return True


def pause_s(policy: Retries, tried: int, *, name: str) -> float:
    """How long to wait after `tried` tries; `name` (of seed, activity and arrival) draws the jitter.

    Sources: AWS Architecture Blog, "Exponential Backoff And Jitter" (full and equal jitter).
    """
    longest = min(policy.max_backoff_s, policy.backoff_s * 2.0 ** min(tried - 1, 60))
    if policy.jitter == "none":
        return longest
    part = Random(f"{name}/{tried}").random()
    return longest * part if policy.jitter == "full" else longest * (0.5 + part / 2)


def asked_pause_s(exchange: Exchange, *, now: datetime) -> float:
    """What `retry-after` of an answer asks for, RFC 9110 section 10.2.3: seconds or a date; 0 without one."""
    value = next((text for name, text in exchange.headers if name == "retry-after"), "")
    if value.isdecimal():
        return float(value[:9])
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return max((when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds(), 0.0)


class Retrying:
    """Sends arrivals as such a client would; stands in for `Sender.send`."""

    def __init__(
        self, policy: Retries, *, sender: Sender, ceiling: Ceiling, seed: int, stopped: Callable[[], bool]
    ) -> None:
        self._policy = policy
        self._sender = sender
        self._ceiling = ceiling
        self._name = f"{seed}/{sender.task.activity}"
        self._stopped = stopped
        self._budget = Budget(policy.budget)
        self._circuit = Circuit(policy.breaker) if policy.breaker is not None else None
        sender.book.retries = RetryCounts()

    def send(self, arrival: Arrival, request: Request) -> Answer:
        """Try until it is answered or given up, and book it by its last try."""
        began_ns = time.monotonic_ns()
        if not self._admitted(began_ns):
            return self._hold_back(arrival)
        self._budget.begun(began_ns)
        asked = self._ask(arrival, request)
        if asked.exchange.error in NEVER_SENT:
            return asked.answer
        tries = [asked]
        while self._goes_on(arrival, asked, tried=len(tries), began_ns=began_ns):
            again = self._ask(arrival, request)
            if again.exchange.error in NEVER_SENT:
                if not arrival.sent_ns:
                    return again.answer
                self._refrain("stopped" if again.exchange.error == "unauthorised" else "exhausted")
                break
            asked = again
            tries.append(asked)
        counts = self._counts
        counts.tries[len(tries)] = counts.tries.get(len(tries), 0) + 1
        self._sender.book.recorder.tried(arrival.second, len(tries))
        if len(tries) > 1:
            asked = _whole(tries, began_ns=began_ns)
        self._sender.book_answer(arrival, request, asked)
        return asked.answer

    @property
    def _counts(self) -> RetryCounts:
        counts = self._sender.book.retries
        assert counts is not None  # noqa: S101  # set when this was made, and renewed by each snapshot
        return counts

    def _admitted(self, now_ns: int) -> bool:
        return self._circuit is None or self._circuit.admits(now_ns)

    def _hold_back(self, arrival: Arrival) -> Answer:
        """An open breaker's user sees a failure at once, though nothing is sent: the target's doing."""
        self._counts.held_back += 1
        book = self._sender.book
        book.turned_away(arrival)
        task = self._sender.task
        name = f"{task.activity}/{arrival.index}/{task.number}"
        book.recorder.example(UNSENT_TARGET, BROKEN, request_id=name, intended_s=arrival.at_ns / NS)
        return no_answer(UNSENT_TARGET, BROKEN)

    def _ask(self, arrival: Arrival, request: Request) -> Asked:
        """One try; the breaker hears how it ended."""
        began_ns = time.monotonic_ns()
        asked = self._sender.ask(arrival, request)
        circuit = self._circuit
        if circuit is None:
            return asked
        if asked.exchange.error in NEVER_SENT:
            circuit.dropped()
            return asked
        failed = self._policy.wants(asked.answer.kind)
        self._counts.opened += circuit.ended(time.monotonic_ns(), began_ns=began_ns, failed=failed)
        return asked

    def _goes_on(self, arrival: Arrival, asked: Asked, *, tried: int, began_ns: int) -> bool:
        """Whether another try follows; then its pause is over when this returns."""
        if asked.answer.ok or not self._policy.wants(asked.answer.kind):
            return False
        if tried >= self._policy.attempts:
            return self._refrain("attempts")
        name = f"{self._name}/{arrival.index}"
        wait_s = pause_s(self._policy, tried, name=name)
        if self._policy.retry_after:
            wished_s = asked_pause_s(asked.exchange, now=datetime.now(UTC))
            wait_s = max(wait_s, min(wished_s, self._policy.max_backoff_s))
        now_ns = time.monotonic_ns()
        if now_ns + wait_s * NS > began_ns + self._policy.within_s * NS:
            return self._refrain("within")
        if not self._budget.takes(now_ns):
            return self._refrain("budget")
        gevent.sleep(wait_s)
        return self._may_begin(asked)

    def _may_begin(self, asked: Asked) -> bool:
        """What else could forbid a try, asked when it is due."""
        now_ns = time.monotonic_ns()
        if self._stopped() or not self._sender.fence.allows_now():
            return self._refrain("stopped")
        if self._ceiling.wait_ns(now_ns):
            return self._refrain("rate_limit")
        if not self._admitted(now_ns):
            return self._refrain("breaker")
        self._ceiling.admits(now_ns)
        counts = self._counts
        counts.tried_again[asked.answer.kind] = counts.tried_again.get(asked.answer.kind, 0) + 1
        return True

    def _refrain(self, why: str) -> bool:
        counts = self._counts
        counts.not_again[why] = counts.not_again.get(why, 0) + 1
        return False


def _whole(tries: list[Asked], *, began_ns: int) -> Asked:
    """The request as its user saw it: sent with the first byte of the first try, ended by the last try.

    Where the first tries could not connect, their time was spent on connecting: the target's doing, not lag.
    """
    exchange = copy.copy(tries[-1].exchange)
    sent = next((one.exchange for one in tries if one.exchange.sent_ns), None)
    if sent is not None:
        at_once = sent is tries[0].exchange
        exchange.connect_ns = sent.connect_ns if at_once else sent.sent_ns - began_ns
        exchange.sent_ns = sent.sent_ns
    return Asked(exchange, tries[-1].answer, tries[-1].timing)
