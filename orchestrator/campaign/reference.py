"""The campaign file's reference, from the models: `python -m orchestrator.campaign.reference`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from orchestrator.campaign.meanings import MEANINGS
from orchestrator.campaign.reference_types import default_words, type_words
from orchestrator.campaign.schema import campaign_schema
from orchestrator.campaign.units import SIZE_UNITS
from orchestrator.preview.unfinished import AT_TOP, IN_REGRESSION, IN_TRAFFIC
from orchestrator.slo import names
from workers.chaos import TABLE as FAULTS
from workers.chaos.contract import kind_of
from workers.contract.kinds import resolve
from workers.protocols import TABLE as PROTOCOLS
from workers.regression import TABLE as COMPARATORS

KINDS: Final = ("load", "soak", "chaos", "regression", "search", "telemetry", "batch")
_PARTS: Final[Mapping[str, Sequence[str]]] = {
    "Targets": ("Target", "Demo", "Tls", "Monitor"),
    "Phases": ("Phase",),
    "What activities are made of": (
        "Where", "Arrivals", "Stage", "FileData", "SyntheticData", "Synthetic", "Lengths", "Normal",
        "LogNormal", "Trend", "Match", "ComposedFault", "PrometheusSource", "ProcessSource", "Sessions",
        "Retries", "Breaker",
    ),
    "Limits, prices, game days": (
        "Validity", "Prices", "GameDay", "RunbookStep", "Window", "Approval", "Silence",
    ),
}  # fmt: skip
_LATER: Final = frozenset(
    [f"Campaign.{key}" for key in AT_TOP] + [f"Activity.{key}" for key in (*IN_TRAFFIC, *IN_REGRESSION)]
)
_INTRO: Final = """\
# The campaign file

<!-- Written by `make docs` from the models in orchestrator/campaign/. Do not edit by hand. -->

YAML 1.2: only `true` and `false` are booleans, and `16:00`, `on` and `2026-12-20` are text. A key that is not
on this page is an error; only top-level keys that begin with `x-` are free, as a home for anchors.
`shakeout validate FILE` lists all errors at once with line and column, and `shakeout schema` prints a schema
for editors. `--set targets.chat.url=http://127.0.0.1:8000` replaces a value before anything is checked.

## Values

| type | written as |
|---|---|
| duration | a number with one of `us ms s m h d`: `250ms`, `1.5h` |
| rate | a number with one of `/s /min /h`: `200/s` |
| percent | `99.9%` |
| size | a number with one of {sizes}: `64MiB` |
| name | `a-z`, `0-9` and `-` inside, at most 63 characters |
| label | letters, digits and `. _ / = -`, at most 63 characters |
| path | relative to the campaign file |
| expression | text, see [Expressions](#expressions); in `[ ]` in quotes, because a comma splits there |

A quantity without its unit is an error. `${{env:NAME}}` inside `url`, `headers`, `tls` and `announce` is read
from the environment of the worker that needs it, and masked everywhere; `$${{` is a literal `${{`.

What is *kept for later* parses, is checked and plans, and `shakeout run` refuses it by name.
"""
_EXPRESSIONS: Final = """\
## Expressions

| form | example |
|---|---|
| quantile, mean, max, min of a series | `p99(latency) < 250ms`, `mean(tpot) <= 40ms` |
| share of requests that meet every limit | `goodput(ttft < 500ms, tpot < 50ms) >= 95%` |
| a value | `success_rate >= 99.9%` |
| outcomes that never, or always, come | `never(http_5xx, timeout)`, `always(http_401, http_403)` |
| an alert of the monitor | `alert(ReplicaDown) fires within 120s` |
| a gauge of the target | `metric(vllm:num_requests_running) returns within 10s` |

Suffixes, each at most once: `over 5m` (each window is judged alone), `during NAME` (a fault or a stage),
`outside faults`, `for TAG=VALUE`. Outcomes: {outcomes}, `http_404`, `http_4xx`.

Series: {series}. From telemetry: {telemetry}.

A sampled value is judged by a confidence limit and may be inconclusive; a counted one is compared as it is.

| value | unit | | stands in `slos` of |
|---|---|---|---|
{scalars}
"""


def reference() -> str:
    """The page, in Markdown.

    Raises KeyError where a key of the models has no words in meanings.py, ValueError where words are left.
    """
    schema = campaign_schema()
    parts = {name: one for name, one in schema["$defs"].items() if not name.endswith("Activity")}
    used: set[str] = set()
    body = [_INTRO.format(sizes=" ".join(SIZE_UNITS)), *_section("Campaign", schema, used, level=2)]
    for title, members in _PARTS.items():
        body.append(f"## {title}\n")
        for name in members:
            body += _section(name, parts.pop(name), used, level=3)
        if title == "Phases":
            body += _activities(schema["$defs"], used)
    if parts or (left := sorted(MEANINGS.keys() - used)):
        raise ValueError(f"parts without a section: {sorted(parts)}; words without a key: {left}")
    return "\n".join([*body, _expressions(), *_kinds()])


def _section(name: str, part: Mapping[str, Any], used: set[str], *, level: int) -> Iterator[str]:
    used.add(name)
    yield f"{'#' * level} {name}\n\n{MEANINGS[name]}\n"
    yield "| key | type | default | meaning |\n|---|---|---|---|"
    for key, schema in part["properties"].items():
        must = " (required)" if key in part.get("required", ()) else ""
        yield f"| `{key}`{must} | {_cells(name, key, schema, used)} |"
    yield ""


def _cells(part: str, key: str, schema: Mapping[str, Any], used: set[str]) -> str:
    used.add(f"{part}.{key}")
    kind = "expression" if _holds_expressions(part, key) else type_words(schema)
    kind = f"list of {kind}s" if kind == "expression" else kind
    later = " Kept for later." if f"{part}.{key}" in _LATER else ""
    return f"{kind} | {default_words(schema)} | {MEANINGS[f'{part}.{key}']}{later}"


def _holds_expressions(part: str, key: str) -> bool:
    return part in ("Campaign", "Activity") and key in ("slos", "abort_if", "expect", "while")


def _activities(parts: Mapping[str, Any], used: set[str]) -> Iterator[str]:
    """One table for the keys of all kinds of activity."""
    models = {kind: parts[f"{kind.capitalize()}Activity"] for kind in KINDS}
    yield "### Activity\n"
    for kind in models:
        used.add(f"{kind.capitalize()}Activity")
        yield f"- **{kind}**: {MEANINGS[f'{kind.capitalize()}Activity']}"
    yield "\n| key | kinds | type | default | meaning |\n|---|---|---|---|---|"
    for key in dict.fromkeys(key for model in models.values() for key in model["properties"]):
        having = {kind: one for kind, one in models.items() if key in one["properties"]}
        schema = next(iter(having.values()))["properties"][key]
        if key == "kind":
            schema = {"enum": list(KINDS)}
        yield f"| `{key}` | {_who(having, key)} | {_cells('Activity', key, schema, used)} |"
    yield ""


def _who(having: Mapping[str, Mapping[str, Any]], key: str) -> str:
    must = [kind for kind, one in having.items() if key in one.get("required", ())]
    may = [kind for kind in having if kind not in must]
    told = [" ".join(must) if len(having) < len(KINDS) else "all"] if must else []
    told = [f"{words} (required)" for words in told]
    if may:
        told.append("all" if len(may) == len(KINDS) else " ".join(may))
    return ", ".join(told)


def _expressions() -> str:
    scalars = "\n".join(
        f"| `{name}` | {' or '.join(one or 'number' for one in scalar.units)} | "
        f"{'sampled' if scalar.sampled else 'counted'} | {' '.join(scalar.kinds) or '`expect` of chaos'} |"
        for name, scalar in names.SCALARS.items()
    )
    return _EXPRESSIONS.format(
        outcomes=", ".join(f"`{one}`" for one in names.OUTCOMES),
        series=", ".join(f"`{one}`" for one in names.REQUEST_SERIES),
        telemetry=", ".join(f"`{one}`" for one in names.TELEMETRY_SERIES),
        scalars=scalars,
    )


def _kinds() -> Iterator[str]:
    """The tables of protocols, faults and comparators, from the tables that the workers resolve."""
    yield "## Protocols\n\n| protocol | | needs `model` | streams |\n|---|---|---|---|"
    for name in sorted(PROTOCOLS):
        kind: Any = resolve("workers.protocols", PROTOCOLS, name)
        yield f"| `{name}` | {_about(kind)} | {_yes(kind.needs_model)} | {_yes(kind.streams)} |"
    yield "\n## Faults\n\n| fault | | lasts | options under `with` |\n|---|---|---|---|"
    for name in sorted(FAULTS):
        fault = kind_of(name)
        about, lasts = _about(fault.make), "held" if fault.held else "one-shot"
        yield f"| `{name}` | {about} | {lasts} | {_options(fault)} |"
    yield "\n## Comparators\n\n| rule | | options |\n|---|---|---|"
    for name in sorted(COMPARATORS):
        kind = resolve("workers.regression", COMPARATORS, name)
        yield f"| `{name}` | {_about(kind)} | {_options(kind)} |"
    yield ""


def _about(kind: Any) -> str:
    """The first sentence of the kind's docstring, and whether it can be run."""
    words = " ".join((kind.__doc__ or "").split("\n\n")[0].split()).split(". ")[0].rstrip(".") + "."
    return words if getattr(kind, "works", True) else f"{words} Kept for later."


def _options(kind: Any) -> str:
    told = []
    for one in msgspec.structs.fields(kind.Options):
        default = "required" if one.required else "" if one.default is None else str(one.default)
        told.append(f"`{one.name}`" + (f" ({default})" if default else ""))
    return ", ".join(told) or "none"


def _yes(flag: object) -> str:
    return "yes" if flag else "no"


if __name__ == "__main__":
    print(reference(), end="")
