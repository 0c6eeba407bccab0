"""What a game day teaches, from its facts alone: what held, what did not, and what somebody should do now."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from orchestrator.report.formats import duration

SLOWER: Final = 1.5
SLOWER_S: Final = 5.0
"""A time of this game day is worse than the last one's where it is longer by this factor and by so much."""
Section = Mapping[str, Any]


def well(day: Section, report: Section) -> Iterator[str]:
    """What went well."""
    held = [one for one in report["slos"] if one["verdict"] == "pass" and one["place"] != "abort_if"]
    claims = [one for one in report["slos"] if one["place"] != "abort_if"]
    if held:
        yield f"{len(held)} of {len(claims)} claims held"
    slower = {(now["name"], what) for now, before, what in _compared(day) if _worse(now[what], before)}
    for one in day["faults"]:
        if one["recovered"] and one["ttr_s"] is not None and (one["name"], "ttr_s") not in slower:
            yield f"{one['name']}: the traffic was back {duration(one['ttr_s'])} after the injection"
        if one["ttd_s"] is not None and (one["name"], "ttd_s") not in slower:
            beside = "".join(f", while {name} acted too" for name in acted_beside(one, report))
            yield f"{one['name']}: noticed after {duration(one['ttd_s'])}, by {one['detected_by']}{beside}"
    for now, before, what in _compared(day):
        if _worse(before, now[what]):
            yield f"{now['name']}: {_WORDS[what]} {duration(now[what])}, {duration(before)} last time"
    done = [one for one in day["runbook"] if one["done"] is not None]
    if done and len(done) == len(day["runbook"]):
        yield f"all {len(done)} steps of the runbook were done"


def badly(day: Section, report: Section) -> Iterator[str]:
    """What went badly."""
    aborted = report["campaign"]["aborted_by"]
    if aborted is not None:
        first = f": {report['reasons'][0]}" if report["reasons"] else ""
        yield f"the game day was stopped by {aborted}{first}"
    for one in report["slos"]:
        if one["verdict"] == "fail":
            yield f"{one['slo']}{_where(one)} did not hold" + (f": {one['why']}" if one["why"] else "")
    for one in day["faults"]:
        if one["recovered"] is False:
            yield f"{one['name']}: the traffic did not come back"
        if _unnoticed(one):
            yield f"{one['name']}: felt by the traffic {felt_after(one['felt_s'])}, {_by_nobody(one, report)}"
    for now, before, what in _compared(day):
        if _worse(now[what], before):
            yield f"{now['name']}: {_WORDS[what]} {duration(now[what])}, {duration(before)} last time"
    for one in day["not_run"]:
        yield f"{one['name']} was not run: {one['why']}"
    for one in report["faults"]:
        if one["residue"]:
            yield f"{one['name']} left something behind: {one['residue']}"


def actions(day: Section, report: Section) -> Iterator[str]:
    """What somebody should do: one line each, to be given an owner and a date."""
    for one in report["slos"]:
        why = f": {one['why']}" if one["why"] else ""
        if one["verdict"] == "fail" and one["slo"].startswith("alert("):
            yield f"Mend the rule, its threshold or its `for`: {one['slo']} failed{_where(one)}{why}"
        elif one["verdict"] == "fail":
            yield f"Make {one['slo']} hold{_where(one)}{why}"
        elif one["verdict"] in ("inconclusive", "invalid") and one["place"] == "expect":
            yield f"Run {one['activity']} again so that {one['slo']} can be judged: {one['why']}"
    for one in day["faults"]:
        if one["recovered"] is False:
            yield f"Find out why the traffic did not come back after {one['name']}"
        if _unnoticed(one):
            yield _unnoticed_action(one, report)
        if one["took_effect"] is False:
            yield f"Make {one['name']} take effect, or drop it"
        elif one["took_effect"] is None:
            yield f"Find out what kept {one['name']} from being verified: nobody saw it take effect"
    for one in day["not_run"]:
        yield f"Run {one['name']} ({one['fault']}) next time; this time it was not: {one['why']}"
    for one in report["faults"]:
        if one["residue"]:
            yield f"Clean up after {one['name']} on {one['host'] or one['worker']}: {one['residue']}"
    for one in day["approvals"]:
        if one["state"] == "late":
            who = f"{one['role']} ({one['address']})" if one["address"] else one["role"]
            yield f"Make sure that {who} can approve phase {one['phase']} in time"
    for one in day["runbook"]:
        if one["done"] is None and (day["faults"] or day["posed"]):
            yield f"Runbook: {one['step']} was not done; do it next time, or take it out"
    for now, before, what in _compared(day):
        if _worse(now[what], before):
            times = f"{_WORDS[what]} {duration(now[what])}, {duration(before)} last time"
            yield f"Find out why {now['name']} took longer than last time: {times}"
    for why in dict.fromkeys(one["why"] for one in day["unannounced"]):
        untold = dict.fromkeys(one["what"] for one in day["unannounced"] if one["why"] == why)
        yield f"Mend the webhook: it was not told of {', '.join(untold)} ({why})"


def felt_after(felt_s: float) -> str:
    """When the traffic felt a fault: it is looked at second by second."""
    return f"after {duration(felt_s)}" if felt_s >= 1.0 else "within 1 s"


def acted_beside(fault: Section, report: Section) -> list[str]:
    """Other faults that acted while this one did: what was noticed or burned may be theirs as well."""
    mine = [
        _span(one) for one in report["faults"] if one["activity"] == fault["activity"] and one["injected"]
    ]
    others = [one for one in report["faults"] if one["activity"] != fault["activity"] and one["injected"]]
    found = [
        one["name"]
        for one in others
        if any(_span(one)[0] < ended_s and began_s < _span(one)[1] for began_s, ended_s in mine)
    ]
    return list(dict.fromkeys(found))


def _span(fault: Section) -> tuple[float, float]:
    """From the injection to the revert; a one-shot fault acts until the traffic is back."""
    began_s = float(fault["injected"])
    if fault["one_shot"]:
        return began_s, began_s + (fault["recovery_s"] or 0.0)
    return began_s, float(fault["reverted"]) if fault["reverted"] is not None else float("inf")


def _where(slo: Section) -> str:
    """Where a claim stands: on an activity, or on what a fault was observed on."""
    if not slo["activity"]:
        return ""
    return f" during {slo['activity']}" if slo["place"] == "expect" else f" on {slo['activity']}"


_WORDS: Final[Mapping[str, str]] = {
    "ttd_s": "noticed after", "ttm_s": "mitigated after", "ttr_s": "recovered after",
}  # fmt: skip


def _unnoticed(fault: Section) -> bool:
    return fault["felt_s"] is not None and fault["ttd_s"] is None


def _by_nobody(fault: Section, report: Section) -> str:
    """That nobody noticed a fault, as far as anybody was asked."""
    if _watched(fault, report):
        return "and no alert that was watched fired; noticed by nobody"
    return "and nobody said so; no alert was watched"


def _unnoticed_action(fault: Section, report: Section) -> str:
    name, alerts = fault["name"], _watched(fault, report)
    if alerts:
        none = "did not fire" if len(alerts) == 1 else "did not fire, none of them"
        return (
            f"Add an alert for what {name} did to the traffic: nobody noticed it, {', '.join(alerts)} {none}"
        )
    return f"Have {name} expect an alert: none was watched, so whether one would have told is not known"


def _watched(fault: Section, report: Section) -> list[str]:
    """The alerts that were looked at while a fault acted."""
    mine = [one for one in report["faults"] if one["activity"] == fault["activity"]]
    return list(dict.fromkeys(alert["alert"] for one in mine for alert in one["alerts"]))


def earlier(day: Section) -> list[Section | None]:
    """For each fault the same one of the last game day, None where it had none: by name, kind and order."""
    before = list(day["history"][-1]["faults"]) if day["history"] else []
    found: list[Section | None] = []
    for now in day["faults"]:
        same = (one for one in before if (one["name"], one["fault"]) == (now["name"], now["fault"]))
        then = next(same, None)
        if then is not None:
            before.remove(then)
        found.append(then)
    return found


def _compared(day: Section) -> Iterator[tuple[Section, float, str]]:
    """Each time of a fault that the last game day has as well: (fault, the time then, which one)."""
    for now, then in zip(day["faults"], earlier(day), strict=True):
        for what in _WORDS:
            if then is not None and now[what] is not None and then[what] is not None:
                yield now, then[what], what


def _worse(one: float, other: float) -> bool:
    return one > SLOWER * other and one - other > SLOWER_S
