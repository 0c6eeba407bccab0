"""`shakeout list`: live campaigns, and those that ended within the last 24 h."""

from typing import Annotated

import typer

from orchestrator.cli.connection import Broker, open_store, reaching
from orchestrator.cli.options import labels_of
from orchestrator.cli.tables import console, moment, say, show_json, show_table, span
from orchestrator.cli.watching import COLOURS
from orchestrator.overview.pictures import CampaignLine
from orchestrator.overview.read import campaign_lines

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
    """List campaigns, the newest first: how they stand or ended, and who submitted and aborted them."""
    labels = labels_of(label or ())
    store = open_store(broker)
    with reaching(broker):
        lines = campaign_lines(store, labels=labels, limit=limit)
    if json_:
        show_json(lines)
        return
    to = console()
    if not lines:
        which = " with these labels" if labels else ""
        say(to, f"no campaign{which} is live or has ended within the last 24 h")
        return
    header = ("campaign", "state", "submitted (UTC)", "took", "by", "key", "aborted by", "labels")
    colours = [COLOURS.get(one.verdict, "") for one in lines]
    show_table(to, header, [_row(one) for one in lines], colours=colours)


def _row(one: CampaignLine) -> tuple[str, ...]:
    return (
        one.id,
        one.verdict if one.state == "over" else one.state,
        moment(one.submitted_s),
        span(one.took_s),
        one.submitted_by,
        one.key,
        one.aborted_by,
        " ".join(f"{name}={value}" for name, value in one.labels.items()),
    )
