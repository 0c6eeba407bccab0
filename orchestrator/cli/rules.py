"""`shakeout rules FILE RUN`: alerting rules replayed against what a run recorded: what fires, and when."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.exits import EXIT_USAGE, exit_code, fail
from orchestrator.cli.options import duration_of
from orchestrator.cli.tables import console, moment, say, show_json, show_table
from orchestrator.errors import ShakeoutError

_COLUMNS = ("alert", "labels", "pending", "firing", "until", "at (UTC)")


def rules(
    file: Annotated[Path, typer.Argument(help="A file of Prometheus's alerting rules.")],
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder with a run's results.")],
    *,
    scrape_every: Annotated[str, typer.Option(help="Interval of the scrapes that are replayed.")] = "15s",
    evaluate_every: Annotated[
        str, typer.Option(help="Interval at which rules are evaluated whose group says none.")
    ] = "15s",
    must_fire: Annotated[
        list[str] | None, typer.Option(help="Exit with 1 unless this alert fires; repeatable.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Tell when each alert of a rule file would have fired on a run's own series, by Prometheus's promtool.

    The series are named in docs/alerts.md, e.g. shakeout_requests_total{outcome="http_503"}.
    """
    from orchestrator.rules.replaying import replayed  # noqa: PLC0415  # loads pyarrow

    try:
        found = replayed(
            file,
            run,
            scrape_every_s=duration_of(scrape_every, "--scrape-every"),
            evaluate_every_s=duration_of(evaluate_every, "--evaluate-every"),
        )
    except ShakeoutError as error:
        fail(str(error), EXIT_USAGE)
    fired = {one.alert for one in found.spells if one.fired_s is not None}
    missed = [alert for alert in must_fire or () if alert not in fired]
    if json_:
        show_json(found)
    else:
        rows = [
            (
                one.alert,
                " ".join(f"{name}={value}" for name, value in one.labels),
                f"{one.from_s:g} s",
                "never" if one.fired_s is None else f"{one.fired_s:g} s",
                "the end" if one.to_s is None else f"{one.to_s:g} s",
                moment(found.start_s + (one.from_s if one.fired_s is None else one.fired_s)),
            )
            for one in found.spells
        ]
        to = console()
        show_table(to, _COLUMNS, rows)
        if not rows:
            say(
                to,
                f"no alert of {file} would have been pending or firing in the {found.seconds} s of the run",
            )
    if missed:
        fail(f"did not fire: {', '.join(missed)}", exit_code("fail"))
