"""The command line: one module a command group; the only place that prints or exits."""

import sys
import traceback

import typer

from orchestrator.cli.abort import abort
from orchestrator.cli.approve import approve, done, reveal
from orchestrator.cli.audit import audit
from orchestrator.cli.campaigns import list_
from orchestrator.cli.doctor import doctor
from orchestrator.cli.drain import drain
from orchestrator.cli.exits import EXIT_INTERNAL
from orchestrator.cli.flower import flower
from orchestrator.cli.importing import import_
from orchestrator.cli.note import note, observe
from orchestrator.cli.pipes import outlast_readers
from orchestrator.cli.plan import plan
from orchestrator.cli.processes import coordinator, demo_target, worker
from orchestrator.cli.prune import prune
from orchestrator.cli.red_button import halt, resume
from orchestrator.cli.replay import replay
from orchestrator.cli.report import report
from orchestrator.cli.rules import rules
from orchestrator.cli.run import run
from orchestrator.cli.schedule import schedule
from orchestrator.cli.schema import schema
from orchestrator.cli.status import status
from orchestrator.cli.submit import submit
from orchestrator.cli.validate import validate
from orchestrator.cli.watch import watch
from orchestrator.cli.workers import workers

app = typer.Typer(
    name="shakeout",
    help="Load, soak, chaos and regression campaigns for inference services.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(plan)
app.command()(validate)
app.command()(schema)
app.add_typer(import_, name="import")
app.command()(submit)
app.command()(watch)
app.command()(report)
app.command()(replay)
app.command()(rules)
app.command()(status)
app.command("list")(list_)
app.command()(workers)
app.command()(abort)
app.command()(halt)
app.command()(resume)
app.command()(drain)
app.add_typer(schedule, name="schedule")
app.command()(approve)
app.command()(note)
app.command()(observe)
app.command()(done)
app.command()(reveal)
app.command()(audit)
app.command()(prune)
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
app.command(context_settings=PASS_ON)(worker)
app.command()(coordinator)
app.command()(flower)
app.command()(doctor)
app.command("demo-target", context_settings=PASS_ON)(demo_target)


def main() -> None:
    """Entry of the `shakeout` command; our own bug must not end with the code of a failed campaign."""
    outlast_readers()
    # Rich and Typer import slowly enough; nothing else is imported before a command runs
    try:
        sys.exit(app())
    except Exception:  # noqa: BLE001  # a command's boundary
        traceback.print_exc()
        sys.exit(EXIT_INTERNAL)
