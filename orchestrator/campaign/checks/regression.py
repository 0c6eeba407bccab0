"""Regression: which keys go together, and rules that the table of comparators knows (CAMPAIGN.md 7 and 8)."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from orchestrator.campaign.checks.walk import activities
from orchestrator.campaign.findings import Finding, nearest
from orchestrator.campaign.models import Campaign, RegressionActivity
from orchestrator.campaign.yaml_reader import Path
from workers.contract.kinds import resolve
from workers.regression import TABLE

_NEED_GOLDEN = ("mutate", "baseline", "compare", "features")
# Names of CAMPAIGN.md section 7. Their kinds do not run yet; once they have tables, those hold the names.
MUTATORS: Final = (
    "missing-field",
    "null-field",
    "wrong-type",
    "out-of-range",
    "oversize",
    "malformed-json",
    "bad-unicode",
)
PROBES: Final = ("no-credentials", "wrong-credentials")
_COMPARED = ("baseline", "compare", "features")


def check_regression(campaign: Campaign) -> Iterator[Finding]:
    """What is wrong with the regression activities."""
    for path, _, activity in activities(campaign):
        if isinstance(activity, RegressionActivity):
            yield from _keys(path, activity)
            yield from _known((*path, "mutate"), "mutator", activity.mutate or (), MUTATORS)
            yield from _known((*path, "probes"), "probe", activity.probes or (), PROBES)
            yield from _compare((*path, "compare"), activity)


def _keys(path: Path, activity: RegressionActivity) -> Iterator[Finding]:
    given = {key for key in (*_NEED_GOLDEN, "golden", "probes") if getattr(activity, key) is not None}
    if not given & {"golden", "probes"}:
        yield Finding((*path, "golden"), "is missing (a regression needs golden or probes)")
    for key in _NEED_GOLDEN:
        if key in given and "golden" not in given and "probes" in given:
            yield Finding((*path, key), "needs `golden`")
    if {"mutate", "probes"} <= given:
        yield Finding((*path, "probes"), "stands beside mutate", "make two activities of them")
    for key in ("mutate", "probes"):
        for other in _COMPARED:
            if key in given and other in given:
                hint = "their answers are judged by never(...) and always(...) alone"
                yield Finding((*path, other), f"stands beside {key}", hint)


def _known(path: Path, what: str, given: tuple[str, ...], known: tuple[str, ...]) -> Iterator[Finding]:
    for index, name in enumerate(given):
        if name not in known:
            yield Finding((*path, index), f"unknown {what} {name!r}", nearest(name, list(known)))


def _compare(path: Path, activity: RegressionActivity) -> Iterator[Finding]:
    for field, rules in (activity.compare or {}).items():
        if len(rules) != 1:
            yield Finding((*path, field), f"needs exactly one rule, has {len(rules)}")
        for rule, options in rules.items():
            where = (*path, field, rule)
            if rule not in TABLE:
                yield Finding(where, f"unknown rule {rule!r}", nearest(rule, list(TABLE)))
                continue
            yield from check_options(where, options, resolve("workers.regression", TABLE, rule))


def check_options(path: Path, options: dict[str, object], kind: Any) -> Iterator[Finding]:
    """What a kind's own `Options` refuses, at the key that it speaks of where it names one."""
    try:
        msgspec.convert(options, kind.Options)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        key = place.partition("`")[0].partition(".")[0].partition("[")[0]
        where = (*path, key) if key in options else path
        unknown = message.partition("unknown field `")[2].rstrip("`")
        if unknown:
            known = list(kind.Options.__struct_fields__)
            yield Finding((*path, unknown), "unknown key", nearest(unknown, known))
            return
        missing = message.partition("missing required field `")[2].rstrip("`")
        if missing:
            yield Finding((*path, missing), "is missing")
            return
        yield Finding(where, _plain(message))


def _plain(message: str) -> str:
    words = message.partition(" - at `$`")[0].replace("`", "")
    for technical, plain in (
        ("str", "text"),
        ("int", "a whole number"),
        ("float", "a number"),
        ("object", "a mapping"),
        ("array", "a list"),
    ):
        words = words.replace(f"{technical} | null", technical)
        words = words.replace(f"Expected {technical}", f"must be {plain}").replace(
            f"got {technical}", f"not {plain}"
        )
    return words[:1].lower() + words[1:]
