"""`shakeout note ID TEXT` and `observe ID TEXT`: what a person remarks or sees, on a campaign's timeline."""

from typing import Annotated

import typer

from orchestrator.cli.connection import Broker, user
from orchestrator.cli.exits import EXIT_USAGE, fail
from orchestrator.cli.saying import meant, say
from orchestrator.cli.words import sentence
from workers.contract import facts as f

Id = Annotated[
    str,
    typer.Argument(
        metavar="ID|DIR", help="The campaign's id, or the folder of a running `run`.", show_default=False
    ),
]


def note(
    id_: Id,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to remember.", show_default=False)],
    broker: Broker = "",
) -> None:
    """Write a remark into a live campaign: it stands in the report, in `status` and for those who watch."""
    words = sentence(text, of="a note")
    if not words:
        fail("an empty note: say what is to be remembered", EXIT_USAGE)
    to = meant(id_, broker, command="note")
    refused = say(to, lambda now_s: f.Noted(by=user(), text=words, at_s=now_s))
    if refused:
        fail(f"the coordinator refused the note: {refused}", EXIT_USAGE)
    print(f"noted in {to.id}")


def observe(
    id_: Id,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What you see.", show_default=False)],
    broker: Broker = "",
) -> None:
    """Say what you see of the target while a campaign runs: its time counts as when people noticed."""
    words = sentence(text, of="an observation")
    if not words:
        fail("an empty observation: say what you see", EXIT_USAGE)
    to = meant(id_, broker, command="observe")
    refused = say(to, lambda now_s: f.Observed(by=user(), text=words, at_s=now_s))
    if refused:
        fail(f"the coordinator refused the observation: {refused}", EXIT_USAGE)
    print(f"observed in {to.id}")
