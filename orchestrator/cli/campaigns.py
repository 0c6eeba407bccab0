"""`shakeout list`: live campaigns, and those that ended as lately as Redis keeps them (24 h as a rule)."""

from typing import Annotated

import typer
from rich.console import Console

from orchestrator.cli.connection import Broker, open_store, reaching
from orchestrator.cli.options import labels_of
from orchestrator.cli.tables import console, moment, say, show_json, show_table, span
from orchestrator.cli.watching import COLOURS
from orchestrator.coordinator.cards import kept_for
from orchestrator.overview.pictures import CampaignLine
from orchestrator.overview.read import campaign_lines, read_pruned
from orchestrator.results.retention import Pruned, said_of

SHOWN = 20


def list_(
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="KEY=VALUE", help="Only campaigns with this label; repeatable."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show so many, the newest.")] = SHOWN,
    json_: Annotated[bool, typer.Option("--json", help="Print it as JSON, for scripts.")] = False,
    broker: Broker = "",
) -> None:
    """List campaigns, the newest first: how they stand or ended, who submitted, approved and aborted them."""
    labels = labels_of(label or ())
    store = open_store(broker)
    with reaching(broker):
        lines = campaign_lines(store, labels=labels, limit=limit)
        pruned, kept = read_pruned(store), kept_for(store)
    if json_:
        show_json(lines)
        return
    to = console()
    if not lines:
        which = " with these labels" if labels else ""
        say(to, f"no campaign{which} is live or has ended within the last {kept}")
        _say_pruned(to, pruned)
        return
    people = ("by", "key", "approved by", "aborted by")
    header = ("campaign", "state", "submitted (UTC)", "took", *people, "labels", "")
    colours = [COLOURS.get(one.verdict, "") for one in lines]
    show_table(to, header, [_row(one) for one in lines], colours=colours)
    _say_pruned(to, pruned)


def _say_pruned(to: Console, pruned: Pruned | None) -> None:
    """What the leader's last look for old runs came to."""
    if pruned is None:
        return
    if pruned.refused:
        say(to, f"old runs are not removed: {pruned.refused}", "yellow")
    elif pruned.removed:
        say(to, f"removed {moment(pruned.at_s)} UTC: {said_of(pruned)}")


def _row(one: CampaignLine) -> tuple[str, ...]:
    return (
        one.id,
        one.verdict if one.state == "over" else one.state,
        moment(one.submitted_s),
        span(one.took_s),
        one.submitted_by,
        one.key,
        ", ".join(one.approved_by),
        one.aborted_by + (f", {one.aborted_key}" if one.aborted_key else ""),
        " ".join(f"{name}={value}" for name, value in one.labels.items()),
        one.note if one.state in ("queued", "waiting") else "",
    )
