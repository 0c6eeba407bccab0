"""What is going on, read from Redis for people and scripts: the fleet, its campaigns, one campaign."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib import metadata
from typing import Any, Literal

import msgspec

from orchestrator.coordinator_cards import Coordinators, coordinators
from orchestrator.live_view import LiveView, decode_live
from orchestrator.overview.pictures import (
    WITHOUT_ENGINE,
    CampaignLine,
    CampaignPicture,
    FleetPicture,
    HaltLine,
    PhaseLine,
    Remark,
    halt_line,
    line_of,
    refusal,
)
from orchestrator.overview.roster import Worker, roster
from orchestrator.overview.summary import Summary, summarise
from orchestrator.store import Store
from workers.contract import facts as f
from workers.contract import names
from workers.contract.signing import Keys

PAGE = 2_000
"""Journal entries a call: 400 KB, well within a call's second."""
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
    since_s = store.now_s() - names.RESULTS_KEPT_S
    ended = store.client.zrevrangebyscore(names.FINISHED, "+inf", since_s)
    return (*reversed(store.campaigns()), *(id_.decode() for id_ in ended))


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
    )


def campaign_picture(store: Store, id_: str, *, finished: bool) -> CampaignPicture:
    """Everything that `status ID` shows of one campaign, alive or ended."""
    now_s = store.now_s()
    line, summary, view = _line(store, id_, finished=finished, now_s=now_s)
    leader = coordinators(store, now_s).leader
    state = summary.state
    results = names.results(id_)
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
        attempts_lost=summary.lost,
        waits=summary.waits,
        notes=tuple(Remark(at_s=note.at_s, by=note.by, text=note.text) for note in summary.notes),
        refusals=tuple(refusal(one) for one in state.refusals),
        results=tuple(sorted(name.decode() for name in store.client.hkeys(results))),
        kept_s=max(0.0, store.client.pttl(results) / 1000),
        place=f"{leader.runs.rstrip('/')}/{id_}" if leader is not None else "",
        flower=store.flower(),
    )


def read_live(store: Store, id_: str) -> LiveView | None:
    """What the leader published last of a campaign; None before the first time."""
    body = store.client.get(names.live(id_))
    with suppress(msgspec.DecodeError):
        return decode_live(body) if body is not None else None
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
    """Each campaign's first fact; None where its journal is gone or cannot be read."""
    listed = list(ids)
    pipe = store.client.pipeline(transaction=False)
    for id_ in listed:
        pipe.xrange(names.journal(id_), count=1)
    for id_, entries in zip(listed, pipe.execute(), strict=True):
        first = _read(entries[0][1]) if entries else None
        yield id_, first if isinstance(first, f.Submitted) else None


def _read(fields: Mapping[bytes, Any]) -> f.Fact | None:
    try:
        fact: f.Fact = f.decode_fact(fields[b"f"])
    except (KeyError, msgspec.DecodeError):
        return None
    return fact
