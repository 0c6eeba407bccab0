"""The journal in words: what happened when, and who said so. Routine steps of single shards are left out."""

from typing import Any

from orchestrator.facts import Attempt
from orchestrator.outcome import Outcome
from workers.contract import facts as f

MOST_ROWS = 400


def timeline(report: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
    """Rows (common time, seconds since the campaign's start, tone, text) in the journal's order."""
    del report
    attempts = outcome.state.attempts
    rows = []
    for entry in outcome.journal:
        said = _words(entry.fact, attempts)
        if said is not None:
            tone, text = said
            rows.append((entry.fact.at_s, entry.fact.at_s - outcome.started_s, tone, text))
    return {"rows": rows[:MOST_ROWS], "more": max(0, len(rows) - MOST_ROWS), "facts": len(outcome.journal)}


def _words(fact: f.Fact, attempts: dict[str, Attempt]) -> tuple[str, str] | None:
    """(tone, sentence) of a fact, or None; tones are plain, good, bad, fault, person."""
    match fact:
        case f.Submitted(by=by):
            return "person", f"submitted by {by}" if by else "submitted"
        case f.AbortAsked(by=by, why=why):
            return "person", f"{by} asked for an abort" + (f": {why}" if why else "")
        case f.Noted(by=by, text=text):
            return "person", f"{by}: {text}"
        case f.Refused(what=what, by=by, why=why):
            return "bad", f"{what} of {by} does not count: {why}"
        case f.TaskRefused(worker=worker, why=why):
            return "bad", f"worker {worker} refused a task: {why}"
        case f.PhaseStarted(phase=phase):
            return "plain", f"phase {phase} set to start, {_shards(phase, attempts)}"
        case f.PhaseSkipped(phase=phase, why=why):
            return "bad", f"phase {phase} skipped: {why}"
        case f.PhaseEnded(phase=phase, verdict=verdict):
            return _tone(verdict), f"phase {phase} ended: {verdict}"
        case f.Aborting(why=why):
            return "bad", f"stopping everything: {why}"
        case f.Ended(verdict=verdict):
            return _tone(verdict), f"campaign ended: {verdict}"
        case _:
            return _of_attempt(fact, attempts)


def _of_attempt(fact: f.Fact, attempts: dict[str, Attempt]) -> tuple[str, str] | None:
    match fact:
        case f.NotReady(attempt=id_, why=why):
            return "plain", f"{_named(id_, attempts)} waits: {why}"
        case f.Resumed(attempt=id_, from_s=from_s):
            return "plain", f"{_named(id_, attempts)} goes on from {from_s:.1f} s"
        case f.Lost(attempt=id_, why=why):
            return "bad", f"{_named(id_, attempts)} is lost: {why}"
        case f.Exited(attempt=id_, outcome=outcome, why=why) if outcome != "done":
            return "bad", f"{_named(id_, attempts)} {outcome}" + (f": {why}" if why else "")
        case f.FaultSeen(attempt=id_, what=what, processes=processes, took_effect=took_effect, why=why):
            name = attempts[id_].activity if id_ in attempts else id_
            effect = {True: ", it took effect", False: ", it did NOT take effect", None: ""}[took_effect]
            on = f" on {', '.join(processes)}" if processes else ""
            tone = "bad" if what in ("failed", "residue") or took_effect is False else "fault"
            return tone, f"fault {name} {what}{on}{effect}" + (f": {why}" if why else "")
        case _:
            return None


def _named(id_: str, attempts: dict[str, Attempt]) -> str:
    """An attempt as a person says it: shard 2 of 8 of peak-load, attempt 1 on worker atlas."""
    one = attempts.get(id_)
    if one is None:
        return id_
    shard = f"shard {one.shard + 1} of {one.of} of " if one.of > 1 else ""
    return f"{shard}{one.activity}, attempt {one.number} on worker {one.worker},"


def _shards(phase: str, attempts: dict[str, Attempt]) -> str:
    mine = [one for one in attempts.values() if one.phase == phase and one.number == 1]
    workers = len({one.worker for one in mine})
    return (
        f"{len(mine)} shard{'s' if len(mine) != 1 else ''} on {workers} worker{'s' if workers != 1 else ''}"
    )


def _tone(verdict: str) -> str:
    return "good" if verdict == "pass" else "bad"
