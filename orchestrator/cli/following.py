"""Following a campaign to its end: journal and live view come in, lines go out.

It outlives Redis and the coordinator being away, says so once each, and never waits for ever in silence.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec
import redis

from orchestrator.cli.holding import Holding
from orchestrator.cli.unread import Unread
from orchestrator.cli.watching import Screen
from orchestrator.facts import State, fold_all
from orchestrator.live.view import LiveView, decode_live
from orchestrator.store.store import AWAY, Store
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.broker.trouble import explain, is_lasting

T = TypeVar("T")
POLL_S: Final = 0.1
LOOK_ROUND_EVERY_S: Final = 1.0
LOST_AFTER_S: Final = 60.0
"""Redis away for longer: contact is lost, exit code 6. A failover takes seconds, a restart less than this."""
LEADERLESS_AFTER_S: Final = names.LEADER_LEASE_S + 2.0
"""A successor takes the lead within a lease; only then is it worth a line that nobody leads."""
WRITTEN_WITHIN_S: Final = 20.0
"""An ended campaign's results take seconds to write; from then on we say what we wait for."""
REMIND_EVERY_S: Final = 60.0
OVERDUE_AFTER_S: Final = 30.0
"""`--max-time` has passed by so long, and nobody has ended the campaign."""
FORGOTTEN_AFTER_S: Final = 5.0
"""A campaign of which nothing is in Redis, not even after a failover has settled, is gone."""


@dataclass(frozen=True, slots=True)
class End:
    """How following ended: the campaign's last fact; or why contact is lost; or neither, where we stopped."""

    fact: f.Ended | None = None
    lost: str = ""


@dataclass(slots=True)
class _Spell:
    """Something that is wrong since a moment (monotonic), and when it was last said."""

    since: float | None = None
    said: float | None = None

    def lasts_s(self) -> float:
        """It is wrong now: for how long it has been so without a break."""
        now = time.monotonic()
        self.since = self.since if self.since is not None else now
        return now - self.since

    def over(self) -> float:
        """It is right now; 0, for how long it has been wrong."""
        self.since = self.said = None
        return 0.0

    def due(self) -> bool:
        """Whether to say it now: the first time, and again each minute."""
        now = time.monotonic()
        if self.said is not None and now - self.said < REMIND_EVERY_S:
            return False
        self.said = now
        return True


@dataclass(slots=True)
class Follower:
    """One campaign as it is followed.

    `leads`: what to say where no coordinator leads; "" where somebody else takes care of that.
    """

    store: Store
    broker: str
    id: str
    screen: Screen
    leads: str = ""
    lost_after_s: float = LOST_AFTER_S
    state: State = field(default_factory=State)
    last: str = "0-0"
    _holding: Holding = field(default_factory=Holding)
    _unread: Unread = field(default_factory=Unread)
    _away: _Spell = field(default_factory=_Spell)
    _leaderless: _Spell = field(default_factory=_Spell)
    _gone: _Spell = field(default_factory=_Spell)
    _writing: _Spell = field(default_factory=_Spell)
    _waiting: _Spell = field(default_factory=_Spell)
    _looked: float = 0.0
    _told: tuple[str, ...] = ()

    def follow(
        self, *, enough: Callable[[], bool], beside: Callable[[], f.Ended | None] | None = None
    ) -> End:
        """Until it has ended and its results are written, or `enough`.

        `beside` is called in each round, and ends it with what it returns. Raises redis errors other than
        Redis being away.
        """
        with self.screen:
            while not enough():
                try:
                    fact = (beside() if beside is not None else None) or self._read()
                    lost = self._look_round()
                    self._back()
                except AWAY as error:
                    if is_lasting(error):
                        raise
                    fact, lost = None, self._lost(error)
                if fact is not None or lost:
                    return End(fact, lost if fact is None else "")
                time.sleep(POLL_S)
        return End()

    def _read(self) -> f.Ended | None:
        """Everything new; the last fact once the results are written too."""
        view = self._view()  # before the journal: what it has not seen may be refused yet
        entries = self.store.journal(self.id, after=self.last)
        self.last = entries[-1].id if entries else self.last
        self.state = fold_all(self.state, (entry.fact for entry in entries))
        for said in self._unread.hear(entries, read_s=view.at_s if view is not None else 0.0):
            for fact in self._holding.hear(said):
                self.screen.tell(fact)
        self._show(view)
        if self.state.ended is not None and self.store.is_finished(self.id):
            return self.state.ended
        return None

    def _view(self) -> LiveView | None:
        """The live picture as it stands; None where there is none."""
        body = self.store.client.get(names.live(self.id))
        try:
            return decode_live(body) if body is not None else None
        except msgspec.DecodeError:
            return None  # it is for people alone, and whoever wrote it was no leader

    def _show(self, view: LiveView | None) -> None:
        """The live picture; where there is no terminal for it, what shards wait for, each minute.

        What a campaign waits for before its turn is said as soon as it is something else.
        """
        if view is None:
            return
        self.screen.show(view)
        if not view.waits:
            self._waiting.over()
            return
        turned = view.waits != self._told and view.waits[0].startswith("waits ")
        if self._waiting.due() or turned:
            self._told = view.waits
            self.screen.wait_for(view.waits)

    def _look_round(self) -> str:
        """Each second: whether anybody leads, and the campaign is still there. Why it is lost, or ""."""
        if time.monotonic() - self._looked < LOOK_ROUND_EVERY_S:
            return ""
        self._looked = time.monotonic()
        led = self.store.is_led()
        alone_s = self._leaderless.over() if led else self._leaderless.lasts_s()
        if self.leads and alone_s > LEADERLESS_AFTER_S and self._leaderless.due():
            self.screen.warn(f"no coordinator leads for {alone_s:.0f} s, the campaign waits: {self.leads}")
        over = self.state.ended is not None
        if over and self._writing.lasts_s() > WRITTEN_WITHIN_S and self._writing.due():
            self.screen.warn("the campaign has ended; waiting for the coordinator to write its results")
        # workers that have not heard of it yet may write the journal of a campaign that is gone
        pipe = self.store.client.pipeline(transaction=False)
        pipe.zscore(names.CAMPAIGNS, self.id)
        pipe.zscore(names.FINISHED, self.id)
        lives, ended = (at_s is not None for at_s in pipe.execute())
        known = lives or (ended and over)
        gone_s = self._gone.over() if known else self._gone.lasts_s()
        if gone_s > FORGOTTEN_AFTER_S:
            return f"Redis knows nothing of {self.id} any more: was it emptied, or started without its data?"
        return "" if over else self._overdue(led=led)

    def _overdue(self, *, led: bool) -> str:
        """Why to wait no longer for a campaign whose time was over long ago; "" where there is none."""
        said = self.state.submitted
        if said is None or not said.max_time_s or (led and self.state.aborting is not None):
            return ""
        over_s = self.store.now_s() - said.at_s - said.max_time_s
        if over_s < OVERDUE_AFTER_S:
            return ""
        who = "the coordinator does not end it" if led else "no coordinator leads that could end it"
        return f"--max-time was over {over_s:.0f} s ago, and {who}"

    def _lost(self, error: redis.RedisError) -> str:
        """Redis is away: said once; why contact is lost where that has lasted too long, else ""."""
        away_s = self._away.lasts_s()
        if away_s > self.lost_after_s:
            return f"no contact for {away_s:.0f} s: {explain(error, self.broker)}"
        if self._away.said is None and self._away.due():
            self.screen.warn("Redis does not answer, trying again")
        return ""

    def _back(self) -> None:
        """Redis answered."""
        if self._away.said is not None:
            self.screen.warn("Redis is back")
        self._away.over()


def insist(call: Callable[[], T], *, within_s: float) -> T:
    """The answer of `call`, tried again while Redis is away; raises what it raised when the time is over."""
    until = time.monotonic() + within_s
    while True:
        try:
            return call()
        except AWAY as error:
            if is_lasting(error) or time.monotonic() > until:
                raise
            time.sleep(POLL_S)
