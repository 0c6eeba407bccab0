"""The journal in words: what each fact says to a reader, and in which tone; routine steps are left out."""

from orchestrator.facts import Attempt
from orchestrator.gameday.persons import holder, said_by
from orchestrator.report.formats import clock
from workers.contract import facts as f
from workers.contract.spec import is_watch


def words_of(fact: f.Fact, attempts: dict[str, Attempt]) -> tuple[str, str] | None:
    """(tone, sentence) of a fact, None for a routine one; tones: plain, good, bad, fault, person, alert."""
    match fact:
        case f.Submitted(by=by):
            return "person", f"submitted by {by}" if by else "submitted"
        case f.Accepted(key=key) if key:
            return "plain", f"accepted: signed with key {key}"
        case f.AbortAsked(by=by, why=why, key=key):
            with_key = f" (key {key})" if key else ""
            return "person", f"{by}{with_key} asked for an abort" + (f": {why}" if why else "")
        case f.Noted(by=by, text=text):
            return "person", f"{by}: {text}"
        case f.Refused(what=what, by=by, why=why):
            whose = f" of {by}" if by else ""
            return "bad", f"{what}{whose} does not count: {why}"
        case f.TaskRefused(worker=worker, why=why):
            return "bad", f"worker {worker} refused a task: {why}"
        case f.PhaseStarted(phase=phase):
            return "plain", f"phase {phase} set to start, {_shards(phase, attempts)}"
        case f.Stationed(activity=activity, workers=workers):
            return "plain", f"the proxies of {activity} stand on {', '.join(workers)}"
        case f.FaultsWithheld(phase=phase, why=why):
            return "bad", f"the faults of phase {phase} are withheld: {why}"
        case f.PhaseSkipped(phase=phase, why=why):
            return "bad", f"phase {phase} skipped: {why}"
        case f.PhaseEnded(phase=phase, verdict=verdict):
            return _tone(verdict), f"phase {phase} ended: {verdict}"
        case f.Aborting(why=why):
            return "bad", f"stopping everything: {why}"
        case f.Ended(verdict=verdict):
            return _tone(verdict), f"campaign ended: {verdict}"
        case _:
            return game_day_words(fact) or _of_alert(fact) or _of_attempt(fact, attempts)


def game_day_words(fact: f.Fact) -> tuple[str, str] | None:
    """As `words_of`, for what people say on a game day and what they are asked; None for all else."""
    match fact:
        case f.Observed(by=by, text=text):
            return "person", f"{by} saw: {text}"
        case f.ApprovalAsked(phase=phase, role=role, address=address):
            return "plain", f"approval of phase {phase} asked of {holder(role, address)}"
        case f.GateReached(phase=phase, until_s=until_s):
            return "plain", f"phase {phase} waits for its approval, until {clock(until_s)} UTC"
        case f.Approved(phase=phase, by=by, role=role, why=why, key=key):
            as_whom, because = f" as {role}" if role else "", f": {why}" if why else ""
            return "person", f"{said_by(by, key)} approved phase {phase}{as_whom}{because}"
        case f.Denied(phase=phase, by=by, why=why, key=key):
            return "bad", f"{said_by(by, key)} denied phase {phase}" + (f": {why}" if why else "")
        case f.StepDone(step=step, by=by, text=text):
            return "person", f"{by} did {step} of the runbook" + (f": {text}" if text else "")
        case f.Revealed(activity=activity, by=by):
            return "person", f"{by} revealed {activity}"
        case f.Posed(activity=activity, text=text):
            return "fault", f"told at the table: {activity}, {text}"
        case f.AnnounceFailed(what=what, why=why):
            return "bad", f"the webhook was not told of {what}: {why}"
        case _:
            return None


def _of_alert(fact: f.Fact) -> tuple[str, str] | None:
    match fact:
        case f.AlertSeen(alert=alert, source=source, state=state) if state in ("firing", "resolved"):
            return "alert", f"alert {alert} {'fires' if state == 'firing' else 'is resolved'}, says {source}"
        case f.Silenced(what="failed", matchers=matchers, why=why):
            return "bad", f"silence of {matchers or 'a former attempt'} failed: {why}"
        case f.Silenced(what=what, id=id_, matchers=matchers, until_s=until_s):
            ends = f", until {clock(until_s)} UTC at the latest" if until_s else ""
            return (
                "plain",
                f"silence of {matchers or 'a former attempt'} {what} in Alertmanager ({id_}){ends}",
            )
        case _:
            return None


def _of_attempt(fact: f.Fact, attempts: dict[str, Attempt]) -> tuple[str, str] | None:
    match fact:
        case f.NotReady(attempt=id_, why=why):
            return "plain", f"{_named(id_, attempts)} waits: {why}"
        case f.Resumed(attempt=id_, from_s=from_s):
            return "plain", f"{_named(id_, attempts)} goes on from {from_s:.1f} s of the phase"
        case f.Draining(attempt=id_, why=why):
            return "plain", f"{_named(id_, attempts)} is to be handed over, its worker drains" + (
                f", {why}" if why else ""
            )
        case f.Yielded(attempt=id_, until_s=until_s):
            return (
                "plain",
                f"{_named(id_, attempts)} hands over: it begins nothing from {until_s:.1f} s of the phase on",
            )
        case f.Lost(attempt=id_, why=why):
            return "bad", f"{_named(id_, attempts)} is lost: {why}"
        case f.Exited(attempt=id_, outcome="stopped", why=why) if _is_planned(id_, attempts):
            return "plain", f"{_named(id_, attempts)} is over: {why}"
        case f.Exited(attempt=id_, outcome=outcome, why=why) if outcome != "done":
            return "bad", f"{_named(id_, attempts)} {outcome}" + (f": {why}" if why else "")
        case f.FaultSeen():
            return _of_fault(fact, attempts)
        case _:
            return None


def _of_fault(fact: f.FaultSeen, attempts: dict[str, Attempt]) -> tuple[str, str]:
    name = attempts[fact.attempt].activity if fact.attempt in attempts else fact.attempt
    which = f", step {fact.step + 1} ({fact.fault})," if fact.step else ""
    effect = {True: ", it took effect", False: ", it did NOT take effect", None: ""}[fact.took_effect]
    objects = (*fact.processes, *fact.touched)
    on = f" on {', '.join(objects)}" if objects else ""
    tone = "bad" if fact.what in ("failed", "residue") or fact.took_effect is False else "fault"
    return tone, f"fault {name}{which} {fact.what}{on}{effect}" + (f": {fact.why}" if fact.why else "")


def _named(id_: str, attempts: dict[str, Attempt]) -> str:
    """An attempt as a person says it: shard 2 of 8 of peak-load, attempt 1 on worker atlas."""
    one = attempts.get(id_)
    if one is None:
        return id_
    if is_watch(one.activity):
        return f"the watch of phase {one.phase} on worker {one.worker}"
    shard = f"shard {one.shard + 1} of {one.of} of " if one.of > 1 else ""
    return f"{shard}{one.activity}, attempt {one.number} on worker {one.worker},"


def _is_planned(id_: str, attempts: dict[str, Attempt]) -> bool:
    """Whether an attempt ended as it should: it was handed over, or its successor never had to begin."""
    one = attempts.get(id_)
    return one is not None and (one.yielded or one.from_s is None)


def _shards(phase: str, attempts: dict[str, Attempt]) -> str:
    firsts = (one for one in attempts.values() if one.phase == phase and one.number == 1)
    mine = [one for one in firsts if not is_watch(one.activity)]
    workers = len({one.worker for one in mine})
    return (
        f"{len(mine)} shard{'s' if len(mine) != 1 else ''} on {workers} worker{'s' if workers != 1 else ''}"
    )


def _tone(verdict: str) -> str:
    return "good" if verdict == "pass" else "bad"
