"""`shakeout approve`, `done` and `reveal`: a game day's gates, steps and hidden faults, by people."""

from dataclasses import dataclass
from typing import Annotated

import typer

from orchestrator.cli.connection import Broker, user
from orchestrator.cli.exits import EXIT_USAGE, fail
from orchestrator.cli.note import Id
from orchestrator.cli.options import Json, Why
from orchestrator.cli.saying import meant, say
from orchestrator.cli.tables import show_json
from orchestrator.cli.words import sentence
from workers.contract import facts as f


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalTold:
    """The keys of `approve --json`. `state`: approved, denied, or refused by the coordinator, with `why`."""

    campaign: str
    phase: str
    state: str
    by: str
    why: str = ""


def approve(
    id_: Id,
    phase: Annotated[str, typer.Argument(metavar="PHASE", help="The phase that may begin.")],
    deny: Annotated[bool, typer.Option("--deny", help="It may not: the campaign is aborted.")] = False,
    role: Annotated[
        str, typer.Option("--as", metavar="ROLE", help="As whom; else as the role that must approve it.")
    ] = "",
    why: Why = "",
    json_: Json = False,
    broker: Broker = "",
) -> None:
    """Let a phase of a game day begin, before its gate is reached or while it waits there; signed."""
    to = meant(id_, broker, command=f"approve ID {phase}")
    refused = say(
        to,
        lambda now_s: (
            f.Denied(phase=phase, by=user(), role=role, why=why, at_s=now_s)
            if deny
            else f.Approved(phase=phase, by=user(), role=role, why=why, at_s=now_s)
        ),
    )
    word = "denied" if deny else "approved"
    state = "refused" if refused else word
    told = ApprovalTold(campaign=to.id, phase=phase, state=state, by=user(), why=refused or why)
    if json_:
        show_json(told)
    if refused:
        fail(f"the coordinator refused it: {refused}", EXIT_USAGE)
    if not json_:
        print(f"{word}: phase {phase} of {to.id}")


def done(
    id_: Id,
    step: Annotated[str, typer.Argument(metavar="STEP", help="The step's name in the runbook, or step-N.")],
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What came of it.")] = "",
    broker: Broker = "",
) -> None:
    """Tick a step of a game day's runbook: it stands on the timeline, as done by you, now."""
    words = sentence(note, of="--note")
    to = meant(id_, broker, command=f"done ID {step}")
    refused = say(to, lambda now_s: f.StepDone(step=step, by=user(), text=words, at_s=now_s))
    if refused:
        fail(f"the coordinator refused it: {refused}", EXIT_USAGE)
    print(f"done: {step} of {to.id}")


def reveal(
    id_: Id,
    activity: Annotated[str, typer.Argument(metavar="ACTIVITY", help="The hidden fault's name.")],
    broker: Broker = "",
) -> None:
    """Show everybody a hidden fault; in a rehearsal, tell the next one before its time."""
    to = meant(id_, broker, command=f"reveal ID {activity}")
    refused = say(to, lambda now_s: f.Revealed(activity=activity, by=user(), at_s=now_s))
    if refused:
        fail(f"the coordinator refused it: {refused}", EXIT_USAGE)
    print(f"revealed: {activity} of {to.id}")
