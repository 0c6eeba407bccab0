"""When Redis has lost what it acknowledged: a leader that lived through it writes again what it remembers.

A restart may lose the last second, a failover what no replica had, FLUSHALL everything. The journal is the
truth, so as long as nobody else has led in between, what it lacks is written again, in order, before anything
new is decided. A campaign of which nothing is left is put back only to be ended in good order.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from msgspec import structs

from orchestrator.coordinator.admission import DECISIONS
from orchestrator.coordinator.campaign_run import CampaignRun
from orchestrator.store.entries import Entry, JournalMovedError
from orchestrator.store.store import FACTS_AT_ONCE, Store
from workers.contract import facts as f
from workers.contract.broker import names

EMPTIED = (
    "Redis has lost this campaign: it was emptied, or started without its data; the report has what was "
    "measured until then"
)
ENDED_FOR_S = 60.0
"""How long an ended campaign is remembered: longer than what any server here can forget, but for its disk."""
MOST_ENDED = 4
MOST_TRIES = 20
"""Facts of workers come in while a journal is written again."""
_DECIDED = (f.Accepted, *DECISIONS)
_BY_WORKERS = (
    f.Claimed, f.NotReady, f.Ready, f.Draining, f.Yielded, f.Exited, f.FaultSeen, f.AlertSeen, f.Gauged,
    f.Silenced,
)  # fmt: skip

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Memory:
    """Campaigns of which this leader knows more than Redis may: `runs` in doubt, `ended` lately and when.

    `whole`: campaigns whose journals lack nothing, for it has looked since Redis is another one.
    """

    runs: dict[str, CampaignRun] = field(default_factory=dict)
    ended: dict[str, tuple[float, CampaignRun]] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)

    def doubt(self, runs: dict[str, CampaignRun]) -> None:
        """Redis is another one, or lacks these campaigns: `recall` will look."""
        since_s = time.monotonic() - ENDED_FOR_S
        self.runs.update({id_: run for id_, (at_s, run) in self.ended.items() if at_s > since_s})
        self.runs.update(runs)
        self.ended.clear()
        self.whole.clear()

    def is_in_doubt(self, runs: dict[str, CampaignRun], live: Sequence[str]) -> bool:
        """Whether to call `recall`; `runs` that are no longer among the `live` ones are in doubt now."""
        gone = {id_: run for id_, run in runs.items() if id_ not in live}
        if gone:
            self.doubt(gone)
        return bool(self.runs)

    def has_ended(self, run: CampaignRun) -> None:
        """Its results are stored, as far as Redis says."""
        since_s = time.monotonic() - ENDED_FOR_S
        ended = {id_: one for id_, one in self.ended.items() if one[0] > since_s}
        self.ended = {**ended, run.id: (time.monotonic(), run)}
        while len(self.ended) > MOST_ENDED:
            del self.ended[next(iter(self.ended))]

    def forget(self) -> None:
        """Somebody else leads: what is remembered here is old."""
        self.runs.clear()
        self.ended.clear()
        self.whole.clear()


def settles_s(memory: Memory, run: CampaignRun, store: Store) -> float:
    """Until when nothing of a campaign may begin, for its journal may lack its end; 0 where it does not.

    Engines of which nobody knows were authorised before this server began, or tell of themselves.
    """
    if run.id in memory.whole or run.submitted.at_s >= store.server_began_s:
        return 0.0
    return store.server_began_s + run.plan.fence_s + names.FENCE_MARGIN_S


def recall(memory: Memory, store: Store) -> dict[str, CampaignRun]:
    """Write again what is missing; the campaigns that go on as they are held here, others are opened anew.

    Raises NotLeadingError, and redis errors: then it is to be called again.
    """
    live, on = set(store.campaigns()), {}
    for id_, run in list(memory.runs.items()):
        if id_ in live:
            if _say_again(run, store):
                memory.whole.add(id_)
            if run.finished:  # what it was measured from is dropped; it is only to be let go of once more
                run.finished, run.read_to = False, store.journal_end(id_)
                on[id_] = run
        elif not store.is_finished(id_):
            _put_back(run, store)
            on[id_] = run
    memory.runs.clear()
    return on


def _say_again(run: CampaignRun, store: Store) -> bool:
    """Append what the journal lacks at its end; False where another leader has decided something since."""
    there = store.journal(run.id)
    # by what it says too: a new server whose clock is behind gives an id twice
    known = {entry.id: f.encode_fact(entry.fact) for entry in there}
    said = [f.encode_fact(_as_it_was_said(entry).fact) for entry in run.entries]
    places = enumerate(zip(run.entries, said, strict=True))
    first = next((place for place, (entry, body) in places if known.get(entry.id) != body), None)
    if first is None:
        return True
    lost = run.entries[first:]
    before = {entry.id for entry in run.entries[:first]}
    since = [entry for entry in there if entry.id not in before]
    if any(isinstance(entry.fact, _DECIDED) for entry in since):
        log.error("campaign %s: Redis lost %d facts, and another leader went on without", run.id, len(lost))
        return False
    log.warning("campaign %s: Redis lost its last %d facts; they are written again", run.id, len(lost))
    placed = {entry.fact.attempt for entry in lost if isinstance(entry.fact, f.Placed)}
    again = [entry.fact for entry in since if getattr(entry.fact, "attempt", "") not in placed]
    _write(run, store, [entry for entry in lost if entry.fact not in again])
    run.intake.name_again()  # of a phase that was judged nobody takes snapshots in any more
    return True


def _put_back(run: CampaignRun, store: Store) -> None:
    """Write all of it again; what had not ended is ended, for data, tasks and claims are gone as well."""
    log.error("campaign %s: %s", run.id, EMPTIED)
    run.read_to = _write(run, store, run.entries)
    if run.state.ended is None and run.state.aborting is None:
        fact = f.Aborting(by="shakeout", why=EMPTIED, verdict="invalid", at_s=store.now_s())
        _abort(run.id, store, run.hearing.signed(fact))
    store.client.zadd(names.CAMPAIGNS, {run.id: run.submitted.at_s})
    run.finished = False
    try:
        run.intake.keep_whole()
    except OSError as error:
        log.warning("campaign %s: no part can be written now: %s", run.id, error)


def _abort(campaign: str, store: Store, fact: f.Fact) -> None:
    """Say that a campaign ends, whatever workers say meanwhile."""
    for again in range(MOST_TRIES):
        try:
            store.append(campaign, last_id=store.journal_end(campaign), id_="aborting", fact=fact)
        except JournalMovedError:
            if again == MOST_TRIES - 1:
                raise
        else:
            return


def _write(run: CampaignRun, store: Store, lost: Sequence[Entry]) -> str:
    """Append entries of a run once more; the id of the journal's end."""
    ids = dict(_fact_ids(run.entries))
    said = [(ids.get(entry.id, ""), _as_it_was_said(entry)) for entry in lost]
    end = store.journal_end(run.id)
    for place in range(0, len(said), FACTS_AT_ONCE):
        for again in range(MOST_TRIES):
            try:
                end = store.restore(run.id, last_id=end, entries=said[place : place + FACTS_AT_ONCE])
            except JournalMovedError:
                if again == MOST_TRIES - 1:
                    raise
                end = store.journal_end(run.id)
            else:
                break
    return end


def _fact_ids(entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    """Entry id and fact id of what workers said, who will say it again: each is the n-th of its kind."""
    number: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        if isinstance(entry.fact, _BY_WORKERS):
            key = entry.fact.attempt, str(entry.fact.__struct_config__.tag)
            number[key] += 1
            yield entry.id, f"{key[0]}:{key[1]}:{number[key]}"


def _as_it_was_said(entry: Entry) -> Entry:
    """Whose key it was is found out when it is read, and was not part of what was signed."""
    match entry.fact:
        case _ if isinstance(entry.fact, f.WORDS):
            return Entry(entry.id, structs.replace(entry.fact, key=""))
        case _:
            return entry
