"""Every claim with what was observed, what is allowed, and how much of that was used."""

from typing import Any

from orchestrator.report.formats import ABSENT, number, plain, quantity, share
from orchestrator.results.outcome import Outcome

_FULL = 1.5
"""The bar's right end: one and a half times what is allowed; whatever is beyond fills it."""
_WORDS = {"<": "below", "<=": "at most", ">": "above", ">=": "at least"}
_PLACES = {
    "slos": "objective",
    "expect": "expectation of a fault",
    "while": "search",
    "abort_if": "stop condition",
}


def objectives(report: dict[str, Any], outcome: Outcome) -> dict[str, Any] | None:
    """The table of claims; None where none was made."""
    del outcome
    rows = [_row(slo) for slo in report["slos"]]
    return {"rows": rows, "limit_at": 100 / _FULL} if rows else None


def _row(slo: dict[str, Any]) -> dict[str, Any]:
    used = slo["allowance_used"]
    effective = slo["effective_samples"]
    return {
        "slo": slo["slo"],
        "verdict": slo["verdict"],
        "on": slo["activity"] or "all running loads and soaks",
        "phase": slo["phase"],
        "place": _PLACES[slo["place"]],
        "observed": quantity(slo["observed"], slo["unit"]),
        "bound": _bound(slo),
        "used": share(used) if used is not None else ABSENT,
        "fill": min(100.0, max(0.0, used / _FULL * 100)) if used is not None else None,
        "samples": number(slo["samples"]) if slo["samples"] else ABSENT,
        "effective": number(round(effective))
        if effective is not None and round(effective) != slo["samples"]
        else "",
        "why": slo["why"],
    }


def _bound(slo: dict[str, Any]) -> str:
    """The bound in words; of `never` and `always` it is that no request breaks them."""
    if slo["unit"] == "requests":
        return "no request"
    if slo["place"] == "abort_if":
        return f"stops when {_WORDS[slo['op']]} {plain(quantity(slo['bound'], slo['unit']))}"
    return f"{_WORDS[slo['op']]} {plain(quantity(slo['bound'], slo['unit']))}"
