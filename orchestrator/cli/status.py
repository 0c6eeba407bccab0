"""`shakeout status [ID]`: the fleet at a glance, or all there is to say of one campaign."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from orchestrator.cli.connection import Broker, reaching, signing_keys
from orchestrator.cli.here import reached
from orchestrator.cli.tables import console, moment, say, show_json, show_table, span
from orchestrator.cli.watching import COLOURS, SO_FAR, picture
from orchestrator.cli.which import which
from orchestrator.coordinator.cards import CoordinatorCard, kept_for
from orchestrator.overview.pictures import (
    CampaignLine,
    CampaignPicture,
    FleetPicture,
    HaltLine,
    RunbookLine,
)
from orchestrator.overview.read import campaign_picture, fleet_picture, read_live, whereabouts
from orchestrator.results.results import REPORT
from orchestrator.slo.words import count, percent, seconds
from orchestrator.store.store import Store

PICTURE_WIDTH = 100
"""Characters that bars need beside names and numbers; on less they would cut the names."""
MOST_LISTED = 20
"""Of lost attempts, notes and the like; `--json` has all."""


def status(
    id_: Annotated[
        str | None,
        typer.Argument(metavar="[ID|DIR]", help="A campaign's id, or a run's folder; without it the fleet."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print it as JSON, for scripts.")] = False,
    broker: Broker = "",
) -> None:
    """Say who leads, what runs and what is free; or, with an ID, how that campaign stands."""
    store, campaign, here = reached(id_, broker)
    with reaching(here.broker if here is not None else broker):
        if campaign is not None:
            _campaign(store, which(store, campaign, command="status"), as_json=json_)
            return
        shown = fleet_picture(store, keys=signing_keys())
    if json_:
        show_json(shown)
    else:
        _show_fleet(console(), shown)


def _show_fleet(to: Console, shown: FleetPicture) -> None:
    say(to, f"coordinator: {_leader(shown)}", "" if shown.coordinators.epoch else "yellow")
    if shown.halted is not None:
        say(to, f"halted: {halted_words(shown.halted, shown.at_s)}; `shakeout resume` ends it", "red")
    if shown.broker_trouble:
        say(to, f"Redis: {shown.broker_trouble}", "red")
    say(to, f"workers: {_workers(shown)}", "" if shown.slots else "yellow")
    for one in shown.workers:
        for trouble in one.troubles:
            say(to, f"  {one.worker}: {trouble}", "yellow")
    if shown.flower:
        say(to, f"Flower: {shown.flower}")
    if not shown.campaigns:
        say(to, "campaigns: none is live; `shakeout list` shows those that have ended")
        return
    say(to, f"campaigns: {len(shown.campaigns)} live")
    header = ("campaign", "state", "phase", "done", "rate", "p99", "failed", "for", "by", "")
    show_table(to, header, [_row(one) for one in shown.campaigns])


def _leader(shown: FleetPicture) -> str:
    who = shown.coordinators
    if not who.epoch:
        words = "nobody leads: start one with `shakeout coordinator --runs URL`"
    elif who.leader is None:
        words = f"one leads, epoch {who.epoch}"
    else:
        card = who.leader
        words = (
            f"{_named(card)}, version {card.version}, leads for {span(shown.at_s - card.since_s)}, "
            f"epoch {card.epoch}; runs in {card.runs}"
        )
    standing = ", ".join(_named(card) for card in who.standbys)
    return words + (f"; standing by: {standing}" if standing else "")


def _named(card: CoordinatorCard) -> str:
    return f"{card.host} (pid {card.pid})"


def halted_words(halt: HaltLine, now_s: float) -> str:
    """By whom, since when, and why; and whether our own keys vouch for it."""
    key = f" (key {halt.key})" if halt.key else ""
    words = f"by {halt.by}{key} {span(now_s - halt.at_s)} ago" + (f": {halt.why}" if halt.why else "")
    return words + (f" ({halt.doubt})" if halt.doubt else "")


def _workers(shown: FleetPicture) -> str:
    here = [one for one in shown.workers if one.state != "gone"]
    gone = [one for one in shown.workers if one.state == "gone"]
    words = f"{len(here)} alive, {shown.slots_free} of {count(shown.slots, 'slot')} free"
    if not here:
        words = "none is alive: start one with `shakeout worker --name NAME --slots 4`"
    for state in ("draining", "halted"):
        named = [one.worker for one in here if one.state == state]
        words += f"; {state}: {', '.join(named)}" if named else ""
    if gone:
        words += "; gone: " + ", ".join(f"{one.worker} ({span(one.silent_s)} ago)" for one in gone)
    return words


def _row(one: CampaignLine) -> tuple[str, ...]:
    phase = f"{one.phase} ({one.phase_number} of {one.phases})" if one.phase and one.phases else one.phase
    return (
        one.id,
        one.state,
        phase,
        percent(round(one.share, 2)) if one.share is not None else "",
        f"{one.rate_per_s:,.0f}/s" if one.rate_per_s is not None else "",
        seconds(one.p99_s) if one.p99_s is not None else "",
        f"{one.failed:,}" if one.failed is not None else "",
        span(one.took_s),
        one.submitted_by,
        one.note,
    )


def _campaign(store: Store, id_: str, *, as_json: bool) -> None:
    where = whereabouts(store, id_)
    shown = campaign_picture(store, id_, finished=where != "live")
    if as_json:
        show_json(shown)
        return
    to = console()
    say(to, _heading(shown), f"bold {COLOURS.get(shown.campaign.verdict, '')}".strip())
    if where == "expired":
        say(to, f"Redis kept its journal and results for {kept_for(store)} and has forgotten them")
    _show_origin(to, shown)
    for reason in shown.reasons:
        say(to, f"  {reason}")
    view = read_live(store, id_) if where == "live" else None
    if view is not None and view.activities:
        if to.is_terminal and to.width >= PICTURE_WIDTH:
            to.print(picture(view))
        else:
            _show_activities(to, shown)
    _show_rest(to, shown)


def _heading(shown: CampaignPicture) -> str:
    one = shown.campaign
    if one.state == "over":
        took = f", after {span(one.took_s)}" if one.took_s else ""
        return f"{one.id}: {one.verdict}{took}"
    place = f", phase {one.phase}" if one.phase else ""
    number = f" ({one.phase_number} of {one.phases})" if one.phase and one.phases else ""
    return f"{one.id}: {one.state}{place}{number}, {span(one.took_s)} so far"


def _show_origin(to: Console, shown: CampaignPicture) -> None:
    one = shown.campaign
    if one.submitted_s:
        key = f" (key {one.key})" if one.key else ""
        labels = "".join(f", {name}={value}" for name, value in one.labels.items())
        say(to, f"submitted {moment(one.submitted_s)} UTC by {one.submitted_by}{key}{labels}")
    if one.ended_s:
        say(to, f"ended {moment(one.ended_s)} UTC")
    if one.aborted_by:
        key = f" (key {one.aborted_key})" if one.aborted_key else ""
        say(to, f"aborted by {one.aborted_by}{key}", "red")
    if one.approved_by:
        say(to, f"approved by {', '.join(one.approved_by)}")
    if one.note and not shown.waits:
        say(to, f"{one.state}: {one.note}")


def _show_activities(to: Console, shown: CampaignPicture) -> None:
    rows = [
        (
            one.key,
            one.state,
            percent(round(one.share, 2)) if one.kind != "chaos" else "",
            f"{one.rate_per_s:,.0f}/s" if one.kind != "chaos" else "",
            seconds(one.p50_s) if one.p50_s is not None else "",
            seconds(one.p99_s) if one.p99_s is not None else "",
            f"{one.ok:,}" if one.kind != "chaos" else "",
            f"{one.failed:,}" if one.kind != "chaos" else "",
            one.note,
        )
        for one in shown.activities
    ]
    show_table(to, ("activity", "state", "done", "rate", "p50", "p99", "ok", "failed", ""), rows)
    for one in shown.activities:
        for slo in one.slos:
            seen = f" ({slo.seen})" if slo.seen else ""
            say(to, f"  {one.key}: {slo.slo}: {SO_FAR[slo.verdict][1]}{seen}")


def _show_rest(to: Console, shown: CampaignPicture) -> None:
    for phase in shown.phases:
        if phase.verdict and phase.verdict != "skipped":
            say(to, f"phase {phase.name}: {phase.verdict}", COLOURS.get(phase.verdict, ""))
        if phase.skipped_because:
            say(to, f"phase {phase.name}: skipped, {phase.skipped_because}")
        if shown.campaign.state != "over":  # then the campaign's own reasons say it all
            for reason in phase.reasons:
                say(to, f"  {reason}")
    waits = [f"{attempt}: {why}" for attempt, why in shown.waits.items()]
    _listed(to, "waiting", waits)
    lost = [f"{one.attempt} on {one.worker}: {one.why}" for one in shown.attempts_lost]
    _listed(to, f"{count(len(lost), 'attempt')} of {shown.attempts:,} lost", lost)
    _listed(to, "refused", [f"{one.by}: {one.text}" for one in shown.refusals])
    _listed(to, "runbook", [_step(one) for one in shown.runbook])
    _listed(to, "notes", [f"{moment(one.at_s)} UTC {one.by}: {one.text}" for one in shown.notes])
    if shown.campaign.state == "over":
        _show_results(to, shown)
    elif shown.flower:
        say(to, f"Flower: {shown.flower}")


def _step(one: RunbookLine) -> str:
    """A step as a person ticks it off."""
    who = f" ({one.role})" if one.role else ""
    done = f", done {moment(one.done_s)} UTC by {one.by}" if one.done_s else ""
    words = ": ".join(filter(None, (one.text, f"$ {one.command}" if one.command else "")))
    return f"[{'x' if one.done_s else ' '}] {one.step}{who}: {words}{done}"


def _show_results(to: Console, shown: CampaignPicture) -> None:
    if shown.results and REPORT not in shown.results:  # refused, or given up: its reasons say why
        say(to, "it has no report")
        return
    if shown.results:
        words = f"results: in Redis for {span(shown.kept_s)} more: `shakeout report {shown.campaign.id}`"
        say(to, words)
    if shown.place:
        say(to, f"results: {shown.place}")
    elif not shown.results:
        print("no coordinator leads that could say where it kept the results", file=sys.stderr)


def _listed(to: Console, heading: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    say(to, f"{heading}:")
    for line in lines[:MOST_LISTED]:
        say(to, f"  {line}")
    if len(lines) > MOST_LISTED:
        say(to, f"  and {len(lines) - MOST_LISTED:,} more: --json has them all")
