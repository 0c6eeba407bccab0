"""What is going on, read from Redis for people and scripts: the fleet, its campaigns, one campaign."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib import metadata
from typing import Any, Literal

import msgspec

from orchestrator.campaign.load import load_campaign_text
from orchestrator.campaign.models import Campaign
from orchestrator.coordinator.cards import Coordinators, coordinators, results_kept_s
from orchestrator.errors import ShakeoutError
from orchestrator.gameday.hidden import hidden_keys
from orchestrator.gameday.roles import step_names
from orchestrator.live.view import LiveView, decode_live
from orchestrator.overview.broker_state import broker_trouble
from orchestrator.overview.pictures import (
    WITHOUT_ENGINE,
    CampaignLine,
    CampaignPicture,
    FleetPicture,
    HaltLine,
    PhaseLine,
    Remark,
    RunbookLine,
    halt_line,
    line_of,
    refusal,
)
from orchestrator.overview.roster import Worker, roster
from orchestrator.overview.summary import Summary, summarise
from orchestrator.results.retention import Pruned, decode_pruned
from orchestrator.store.store import Store
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.decoding import texts
from workers.contract.signed.signing import Keys

PAGE = 2_000
"""Journal entries a call: 400 KB, well within a call's second."""
EARLY = 20
"""Facts among which a submission is looked for: workers may speak before a lost journal is put back."""
Whereabouts = Literal["live", "finished", "expired", "unknown"]


def whereabouts(store: Store, id_: str) -> Whereabouts:
    """Whether a campaign lives, has ended, has ended so long ago that Redis forgot it, or never was."""
    pipe = store.client.pipeline(transaction=False)
    pipe.zscore(names.CAMPAIGNS, id_)
    pipe.zscore(names.FINISHED, id_)
    pipe.exists(names.journal(id_))
    lives, ended, journal = pipe.execute()
    if lives is not None:
        return "live"
    if ended is None:
        return "unknown"
    return "finished" if journal else "expired"


def known_ids(store: Store) -> tuple[str, ...]:
    """Ids of live campaigns, then of ended ones that Redis still knows, the newest first."""
    since_s = store.now_s() - results_kept_s(store)
    ended = store.client.zrevrangebyscore(names.FINISHED, "+inf", since_s)
    return (*reversed(store.campaigns()), *texts(ended))


def read_facts(store: Store, id_: str) -> Iterator[tuple[float, f.Fact | None]]:
    """A journal from its beginning, in pages: when each fact came, and None for one that cannot be read."""
    last = "0-0"
    while True:
        page = store.client.xrange(names.journal(id_), min=f"({last}", count=PAGE)
        for entry, fields in page:
            last = entry.decode()
            yield float(last.split("-")[0]) / 1000, _read(fields)
        if len(page) < PAGE:
            return


def summary_of(store: Store, id_: str) -> Summary:
    """What the journal of a campaign says."""
    return summarise(id_, read_facts(store, id_))


def campaign_lines(store: Store, *, labels: Mapping[str, str], limit: int) -> tuple[CampaignLine, ...]:
    """Live and ended campaigns that carry all these labels, the newest first, at most `limit`."""
    live = set(store.campaigns())
    now_s = store.now_s()
    found: list[tuple[float, str]] = []
    for id_, fact in _submissions(store, known_ids(store)):
        if fact is None and labels:
            continue
        if fact is None or labels.items() <= fact.labels.items():
            found.append((fact.at_s if fact is not None else 0.0, id_))
    newest = sorted(found, reverse=True)[:limit]
    return tuple(_line(store, id_, finished=id_ not in live, now_s=now_s)[0] for _, id_ in newest)


def fleet_picture(store: Store, *, keys: Keys) -> FleetPicture:
    """Everything that `status` shows of the fleet."""
    now_s = store.now_s()
    lines: list[CampaignLine] = []
    used: Counter[str] = Counter()
    for id_ in store.campaigns():
        line, summary, view = _line(store, id_, finished=False, now_s=now_s)
        lines.append(line)
        used.update(_held(summary, view))
    who = coordinators(store, now_s)
    crew = _roster(store, who, used, now_s)
    return FleetPicture(
        at_s=now_s,
        coordinators=who,
        halted=read_halt(store, keys),
        workers=crew,
        slots=sum(one.slots for one in crew if one.state != "gone"),
        slots_free=sum(one.free for one in crew),
        flower=store.flower(),
        campaigns=tuple(lines),
        broker_trouble=broker_trouble(store.client.info()),
    )


def campaign_picture(store: Store, id_: str, *, finished: bool) -> CampaignPicture:
    """Everything that `status ID` shows of one campaign, alive or ended."""
    now_s = store.now_s()
    line, summary, view = _line(store, id_, finished=finished, now_s=now_s)
    leader = coordinators(store, now_s).leader
    state = summary.state
    results = names.results(id_)
    campaign = _campaign(summary)
    hidden = frozenset[str]() if finished or campaign is None else _hidden(campaign, summary)
    return CampaignPicture(
        campaign=line,
        reasons=state.ended.reasons if state.ended is not None else (),
        phases=tuple(
            PhaseLine(
                name=name,
                verdict=phase.verdict or ("skipped" if phase.skipped_because else ""),
                reasons=phase.reasons,
                skipped_because=phase.skipped_because,
                started_s=phase.start_s,
                ended_s=phase.ended_s,
            )
            for name, phase in state.phases.items()
        ),
        activities=view.activities if view is not None and not finished else (),
        attempts=summary.placed,
        attempts_lost=tuple(one for one in summary.lost if _shown(one.attempt, hidden)),
        waits={attempt: why for attempt, why in summary.waits.items() if _shown(attempt, hidden)},
        notes=tuple(Remark(at_s=note.at_s, by=note.by, text=_remark(note)) for note in summary.notes),
        refusals=tuple(refusal(one) for one in state.refusals),
        results=tuple(sorted(texts(store.client.hkeys(results)))),
        kept_s=max(0.0, store.client.pttl(results) / 1000),
        place=f"{leader.runs.rstrip('/')}/{id_}" if leader is not None else "",
        flower=store.flower(),
        runbook=tuple(_runbook(campaign, summary)) if campaign is not None else (),
    )


def _campaign(summary: Summary) -> Campaign | None:
    """The campaign as it was submitted; None of one that this version cannot read."""
    said = summary.state.submitted
    with suppress(ShakeoutError):
        if said is not None:
            return load_campaign_text(said.text, base=None, sets=said.sets).campaign
    return None


def _remark(note: f.Noted | f.Observed) -> str:
    return f"saw: {note.text}" if isinstance(note, f.Observed) else note.text


def _hidden(campaign: Campaign, summary: Summary) -> frozenset[str]:
    """Keys of activities that a campaign hides and nobody has revealed."""
    told = {one.activity for one in summary.state.revealed}
    return frozenset(key for key, name in hidden_keys(campaign).items() if name not in told)


def _runbook(campaign: Campaign, summary: Summary) -> Iterator[RunbookLine]:
    """Each step with who did it first."""
    day = campaign.gameday
    for name, step in zip(step_names(day), day.runbook if day is not None else (), strict=True):
        done = next((one for one in summary.state.steps if one.step == name), None)
        yield RunbookLine(
            step=name, text=step.text, command=step.command, role=step.by or "",
            done_s=done.at_s if done is not None else 0.0, by=done.by if done is not None else "",
        )  # fmt: skip


def _shown(attempt: str, hidden: frozenset[str]) -> bool:
    return attempt.rsplit(":", 2)[0] not in hidden


def read_live(store: Store, id_: str) -> LiveView | None:
    """What the leader published last of a campaign; None before the first time."""
    body = store.client.get(names.live(id_))
    with suppress(msgspec.DecodeError):
        return decode_live(body) if body is not None else None
    return None


def read_pruned(store: Store) -> Pruned | None:
    """What the leader's last look for old runs came to; None where there was none."""
    body = store.client.get(names.PRUNED)
    with suppress(msgspec.DecodeError):
        return decode_pruned(body) if body is not None else None
    return None


def read_halt(store: Store, keys: Keys) -> HaltLine | None:
    """Whether the red button is pressed, and by whom."""
    return halt_line(store.pressed(), keys=keys, now_s=store.now_s())


def read_workers(store: Store) -> tuple[Worker, ...]:
    """Every worker that showed its card lately, with the slots that are in use."""
    now_s = store.now_s()
    used: Counter[str] = Counter()
    for id_ in store.campaigns():
        used.update(_held(summary_of(store, id_), read_live(store, id_)))
    return _roster(store, coordinators(store, now_s), used, now_s)


def _roster(store: Store, who: Coordinators, used: Mapping[str, int], now_s: float) -> tuple[Worker, ...]:
    here = metadata.version("shakeout")
    return roster(store.cards(), used=used, leader=who.leader, version=here, now_s=now_s)


def _held(summary: Summary, view: LiveView | None) -> Counter[str]:
    activities = view.activities if view is not None else ()
    return summary.held(without=(one.key for one in activities if one.kind in WITHOUT_ENGINE))


def _line(
    store: Store, id_: str, *, finished: bool, now_s: float
) -> tuple[CampaignLine, Summary, LiveView | None]:
    summary = summary_of(store, id_)
    view = None if finished else read_live(store, id_)
    ended_s = store.client.zscore(names.FINISHED, id_) if finished else None
    line = line_of(
        summary, view, finished=finished, ended_s=float(ended_s) if ended_s is not None else None, now_s=now_s
    )
    return line, summary, view


def _submissions(store: Store, ids: Iterable[str]) -> Iterator[tuple[str, f.Submitted | None]]:
    """Each campaign's submission; None where its journal is gone or cannot be read."""
    listed = list(ids)
    pipe = store.client.pipeline(transaction=False)
    for id_ in listed:
        pipe.xrange(names.journal(id_), count=EARLY)
    for id_, entries in zip(listed, pipe.execute(), strict=True):
        facts = (_read(fields) for _, fields in entries)
        yield id_, next((fact for fact in facts if isinstance(fact, f.Submitted)), None)


def _read(fields: Mapping[bytes, Any]) -> f.Fact | None:
    try:
        fact: f.Fact = f.decode_fact(fields[b"f"])
    except (KeyError, msgspec.DecodeError):
        return None
    return fact
