"""report.json and the outcome -> one HTML file: no network, no script but ours, everything escaped."""

import base64
import hashlib
from importlib import import_module
from typing import Any

from markupsafe import Markup

from orchestrator.report.pages import source, template
from orchestrator.report.sections import TABLE
from orchestrator.results.outcome import Outcome

_PACKAGE = "orchestrator.report.sections"


def render_html(report: dict[str, Any], outcome: Outcome) -> str:
    """The page. It is read without its script, too: that one only shows values under the pointer."""
    script = source("page.js")
    page: str = template("page.html.j2").render(
        report=report,
        style=Markup(source("page.css")),  # noqa: S704  # a file of this package
        script=Markup(script),  # noqa: S704  # a file of this package
        policy=policy(script),
        sections=[(name, body) for name in TABLE if (body := _section(name, report, outcome)) is not None],
    )
    return page


def policy(script: str) -> str:
    """The content security policy under which only our own script runs: by its hash."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _section(name: str, report: dict[str, Any], outcome: Outcome) -> Markup | None:
    """A section rendered by its template, or None where its function has nothing to say."""
    module, _, function = TABLE[name].partition(":")
    context = getattr(import_module(f"{_PACKAGE}.{module}"), function)(report, outcome)
    if context is None:
        return None
    return Markup(template(f"{name}.html.j2").render(report=report, **context))  # noqa: S704  # escaped by the template
