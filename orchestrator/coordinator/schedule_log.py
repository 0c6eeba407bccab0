"""What leaders keep of schedules, once each: words that counted, runs begun, refused or missed."""

import logging
import time
from dataclasses import dataclass, field
from typing import Final

import msgspec

from orchestrator.gameday.schedules import Outcome, decode_outcome, encode_outcome, sealed, vouched_for
from orchestrator.store.store import Store
from workers.contract.broker import names
from workers.contract.signed.signing import NO_KEYS, Keys, SignatureError

AT_ONCE: Final = 200
"""Outcomes a call."""
MOST_OUTCOMES: Final = 10_000
log = logging.getLogger(__name__)


@dataclass(slots=True)
class ScheduleLog:
    """The log as far as a leader has read it; `keys`: seal it, and vouch for it.

    `done`: schedule -> the last due run that was dealt with. `last`: schedule -> id of its newest run.
    `told`: ids of outcomes that are kept. `begins_s`: what was due before that was dealt with, though the log
    no longer says how.
    """

    keys: Keys = field(default=NO_KEYS, repr=False)
    done: dict[str, float] = field(default_factory=dict)
    last: dict[str, str] = field(default_factory=dict)
    told: dict[str, None] = field(default_factory=dict)
    begins_s: float = 0.0
    read_to: str = "0-0"

    def read(self, store: Store) -> None:
        """Take in what is new. Raises redis errors."""
        while True:
            page = store.client.xrange(names.SCHEDULE_LOG, min=f"({self.read_to}", count=AT_ONCE)
            if page and self.read_to == "0-0" and store.client.xlen(names.SCHEDULE_LOG) >= MOST_OUTCOMES:
                self.begins_s = entry_s(page[0][0].decode())
            for id_, fields in page:
                self.read_to = id_.decode()
                try:
                    outcome = decode_outcome(fields.get(b"a", b""))
                    vouched_for(outcome, self.keys)
                except (msgspec.DecodeError, SignatureError) as error:
                    log.warning("what is said of a schedule does not count: %s", error)
                    continue
                self._take(outcome)
            if len(page) < AT_ONCE:
                return

    def done_s(self, name: str) -> float:
        """The last due run of a schedule that was dealt with, as far as that is known."""
        return max(self.done.get(name, 0.0), self.begins_s)

    def keep(self, store: Store, outcome: Outcome) -> None:
        """Keep what came of something, once. Raises NotLeadingError, redis errors."""
        body = encode_outcome(sealed(outcome, self.keys))
        if outcome.id not in self.told and store.keep_outcome(
            outcome.id, body, at_s=outcome.at_s, most=MOST_OUTCOMES
        ):
            _log(outcome)
        self._take(outcome)

    def _take(self, outcome: Outcome) -> None:
        self.told[outcome.id] = None
        while len(self.told) > MOST_OUTCOMES:
            del self.told[next(iter(self.told))]
        if outcome.what in ("fired", "refused", "missed"):
            name = outcome.schedule
            self.done[name] = max(self.done.get(name, 0.0), outcome.due_s)
            if outcome.campaign:
                self.last[name] = outcome.campaign


def entry_s(entry: str) -> float:
    """When an entry came into its stream."""
    return float(entry.partition("-")[0]) / 1000


def _log(outcome: Outcome) -> None:
    """Say it in the leader's log; words that count are in the audit's part of it."""
    on = f", {outcome.campaign}" if outcome.campaign else ""
    why = f": {outcome.why}" if outcome.why else ""
    if outcome.what == "doubted":
        log.warning("schedule %s: what was said of it does not count%s", outcome.schedule, why)
    elif outcome.what != "taken":
        log.info(
            "schedule %s: run of %s %s%s%s", outcome.schedule, _moment(outcome.due_s), outcome.what, on, why
        )


def _moment(at_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at_s))
