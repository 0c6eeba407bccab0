"""`shakeout note ID TEXT`: a person's remark on the timeline of a campaign."""

import secrets
from typing import Annotated

import typer

from orchestrator.cli.connection import Broker, keys_for, open_store, reaching, user
from orchestrator.cli.exits import EXIT_USAGE, fail
from orchestrator.cli.which import which
from orchestrator.cli.words import sentence
from orchestrator.overview.read import whereabouts
from workers.contract import facts as f
from workers.contract.trust import sign_fact


def note(
    id_: Annotated[str, typer.Argument(metavar="ID", help="The campaign's id.", show_default=False)],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to remember.", show_default=False)],
    broker: Broker = "",
) -> None:
    """Write a remark into a live campaign: it stands in the report, in `status` and for those who watch."""
    words = sentence(text, of="a note")
    if not words:
        fail("an empty note: say what is to be remembered", EXIT_USAGE)
    store, keys = open_store(broker), keys_for(broker)
    with reaching(broker):
        target = which(store, id_, command="note")
        if whereabouts(store, target) != "live":
            fail(f"{target} has ended: its report is written, and a note would not be in it", EXIT_USAGE)
        now_s = store.now_s()
        said = sign_fact(f.Noted(by=user(), text=words, at_s=now_s), campaign=target, keys=keys, now_s=now_s)
        store.say(target, id_=f"note:{secrets.token_hex(8)}", fact=said)
    print(f"noted in {target}")
