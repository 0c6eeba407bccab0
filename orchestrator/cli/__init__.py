"""The command line: one module a command group; the only place that prints or exits."""

import sys
import traceback

import typer

from orchestrator.cli.exits import EXIT_INTERNAL
from orchestrator.cli.pipes import outlast_readers
from orchestrator.cli.plan import plan
from orchestrator.cli.processes import coordinator, demo_target, worker
from orchestrator.cli.run import run
from orchestrator.cli.schema import schema
from orchestrator.cli.validate import validate

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
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
app.command(context_settings=PASS_ON)(worker)
app.command()(coordinator)
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
