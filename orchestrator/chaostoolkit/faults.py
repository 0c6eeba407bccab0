"""Actions of an experiment -> faults on one clock, each with its end; rollbacks -> reverts. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from orchestrator.campaign.composing import kind_named, why_not
from orchestrator.campaign.units import duration_text
from orchestrator.chaostoolkit.commands import meaning_of_command, words_of
from orchestrator.chaostoolkit.experiment import Command, Experiment, Function, Http, Step
from orchestrator.chaostoolkit.functions import Proxy, meaning_of_function, proxies_of
from orchestrator.chaostoolkit.imported import Draft, slug
from orchestrator.chaostoolkit.meanings import Meaning, Pause, Undo, Unmapped, Wanted, neutral
from orchestrator.chaostoolkit.traffic import request_of
from orchestrator.chaostoolkit.variables import unknown, unresolved

BASELINE_S: Final = 30.0
"""Before the first action: what a fault did is told against the 30 s before it."""
RECOVERY_S: Final = 30.0
"""After each one: the hypothesis must hold again by then."""
HELD_S: Final = 30.0
"""A fault whose end the experiment does not say."""
LONGEST_S: Final = 3600.0
_OF_PLATFORM: Final = ("command", "http")
"""Faults that know no way back but the one that they are given."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """A fault and when it begins; `end_s` where a later step ends it, `back` which one that is."""

    step: Step
    wanted: Wanted
    at_s: float
    place: int
    end_s: float | None = None
    back: Step | None = None


def add_faults(draft: Draft, experiment: Experiment) -> float:
    """Give the draft a fault for each action that has an equal; when the method is over, in seconds."""
    begun, times_s = _method(draft, experiment)
    end_s = times_s[-1]
    undone = _rollbacks(draft, experiment, begun)
    for one in begun:
        _fault(draft, one, end_s=end_s, undone=undone, alerts=_alerts(draft, one, begun, times_s))
    for name, place in draft.fires:
        if not any(one.place < place for one in begun):
            draft.leave_out(("method", place), f"alert {name}", "no fault before it could make it fire")
    if begun:
        draft.to_do.append("each fault is done on the host of one worker: say which by `where: {label: ...}`")
    return end_s


def _method(draft: Draft, experiment: Experiment) -> tuple[list[_Begun], list[float]]:
    """The faults of the method, with their ends where one of its steps brings them.

    Besides, when each step begins, in seconds since the phase's start, and when the last one is over.
    """
    proxies = proxies_of((*experiment.method, *experiment.rollbacks))
    begun: list[_Begun] = []
    now_s = BASELINE_S
    times_s: list[float] = []
    for place, step in enumerate(experiment.method):
        now_s += step.before_s
        times_s.append(now_s)
        if step.kind == "action":
            why = draft.refused.get(step.path)
            meaning = Unmapped(why) if why else meaning_of(step, proxies)
            if isinstance(meaning, Wanted) and (other := _opposite(meaning, step, begun)) is not None:
                begun[other] = replace(begun[other], end_s=now_s, back=step)
            elif isinstance(meaning, Wanted):
                begun.append(_Begun(step, meaning, now_s, place))
                now_s += 0.0 if step.background else meaning.for_s or 0.0
            elif isinstance(meaning, Undo):
                _undo(draft, step, meaning, begun, now_s)
            elif isinstance(meaning, Pause):
                now_s += meaning.for_s
            elif isinstance(meaning, Unmapped):
                draft.leave_out(step.path, f"action {step.name!r}", meaning.why)
        now_s += step.after_s
    return begun, [*times_s, now_s]


def meaning_of(step: Step, proxies: Mapping[str, Proxy]) -> Meaning:
    """What an action comes to."""
    call = step.provider
    if isinstance(call, Command):
        if missing := unknown(" ".join((call.program, *call.words, call.shell))):
            return Unmapped(f"{missing} is not known: give it by --var")
        return meaning_of_command(call)
    if isinstance(call, Function):
        return meaning_of_function(call, proxies)
    if isinstance(call, Http):
        if missing := unknown(call.url):
            return Unmapped(f"{missing} is not known: give it by --var")
        if unresolved(call.url):
            return Unmapped("a value of the environment cannot stand in a fault's URL: give it by --var")
        undo = f"http:{neutral(call.url.split('/'))}"
        return Wanted(fault="http", options={"inject": _call(call)}, undo=undo)
    return Unmapped(f"a provider of type {step.type!r} is not known")


def _undo(draft: Draft, step: Step, undo: Undo, begun: list[_Begun], now_s: float) -> None:
    """End every fault that the word is for and that still goes on."""
    ended = False
    for index, one in enumerate(begun):
        if one.end_s is None and one.wanted.undo and _ends(undo, one.wanted):
            begun[index] = replace(one, end_s=now_s)
            ended = True
    if not ended:
        draft.leave_out(step.path, f"action {step.name!r}", "nothing before it is ended by it")


def _opposite(wanted: Wanted, step: Step, begun: Sequence[_Begun]) -> int | None:
    """Which fault of the platform's own, still going on, this takes back: `start` where it was `stop`."""
    if wanted.fault not in _OF_PLATFORM:
        return None
    for index, one in enumerate(begun):
        alike = one.end_s is None and one.wanted.fault == wanted.fault and one.wanted.undo == wanted.undo
        if alike and one.step.provider != step.provider:
            return index
    return None


def _ends(undo: Undo, wanted: Wanted) -> bool:
    return wanted.undo == undo.word or (undo.word == "toxic:" and wanted.fault == "tcp-proxy")


def _rollbacks(draft: Draft, experiment: Experiment, begun: Sequence[_Begun]) -> dict[int, tuple[Step, bool]]:
    """Which rollback takes back which fault of the platform's own, by its place, and whether that is certain.

    All other faults take themselves back, so what their rollbacks did is done.
    """
    proxies = proxies_of((*experiment.method, *experiment.rollbacks))
    waiting = [one for one in begun if one.wanted.fault in _OF_PLATFORM and one.back is None]
    undone: dict[int, tuple[Step, bool]] = {}
    unclear: list[tuple[Step, Wanted]] = []
    for step in experiment.rollbacks:
        meaning = meaning_of(step, proxies)
        what = f"rollback {step.name!r}"
        if isinstance(meaning, Undo):
            if not any(_ends(meaning, one.wanted) for one in begun):
                draft.leave_out(step.path, what, "nothing before it is ended by it")
        elif isinstance(meaning, Unmapped):
            draft.leave_out(step.path, what, meaning.why)
        elif isinstance(meaning, Wanted):
            index = _opposite(meaning, step, waiting)
            if index is not None:
                undone[waiting.pop(index).place] = step, True
            elif not any(one.back and one.wanted.undo == meaning.undo for one in begun):
                unclear.append((step, meaning))
    for step, meaning in unclear:
        index = next((at for at, one in enumerate(waiting) if _may_end(meaning, one.wanted)), None)
        if index is None:
            draft.leave_out(step.path, f"rollback {step.name!r}", "no fault is left that it could take back")
        else:
            undone[waiting.pop(index).place] = step, False
    return undone


def _may_end(back: Wanted, wanted: Wanted) -> bool:
    """Whether a command or call can be the end of another: the same kind, and commands of one program."""
    if back.fault != wanted.fault:
        return False
    programs = [one.options["inject"] for one in (back, wanted)]
    first = [words[0] for words in programs if isinstance(words, list)]
    return len(set(first)) <= 1


def _alerts(draft: Draft, one: _Begun, begun: Sequence[_Begun], times_s: Sequence[float]) -> list[str]:
    """What is expected of alerts: those of the hypothesis are silent, one asked for later fires by then."""
    expected = [f"alert({name}) never fires" for name in draft.never]
    for name, place in draft.fires:
        before = [other.place for other in begun if other.place < place]
        if before and before[-1] == one.place:
            within_s = times_s[place] - one.at_s or RECOVERY_S
            expected.append(f"alert({name}) fires within {duration_text(within_s)}")
    return expected


def _fault(
    draft: Draft,
    one: _Begun,
    *,
    end_s: float,
    undone: Mapping[int, tuple[Step, bool]],
    alerts: Sequence[str],
) -> None:
    """Add the activity, if the fault takes what it is given."""
    step, wanted = one.step, one.wanted
    options, to_do = dict(wanted.options), list(wanted.to_do)
    if wanted.fault in _OF_PLATFORM:
        back, certain = (one.back, True) if one.back else undone.get(one.place, (None, True))
        why = _of_platform(options, to_do, step, back)
        if back is not None and not certain:
            to_do.append(f"see that `revert`, the rollback {back.name!r}, takes this very fault back")
        if why:
            draft.leave_out(step.path, f"action {step.name!r}", why)
            return
    kind = kind_named(wanted.fault)
    if kind is None or (why := why_not(options, kind)):
        draft.leave_out(
            step.path, f"action {step.name!r}", f"fault {wanted.fault}: {why if kind else 'unknown'}"
        )
        return
    if _text_refers(options) and wanted.fault not in _OF_PLATFORM:
        draft.leave_out(step.path, f"action {step.name!r}", "a value of the environment: give it by --var")
        return
    names = [str(fault["name"]) for fault in draft.faults] + [str(load["name"]) for load in draft.loads]
    activity: dict[str, object] = {"name": slug(step.name, taken=names, otherwise=wanted.fault)}
    activity |= {"kind": "chaos", "fault": wanted.fault, "at": duration_text(one.at_s)}
    if kind.held:
        activity["for"] = duration_text(_lasts_s(one, end_s))
    if wanted.match is not None:
        activity["match"] = dict(wanted.match)
    if options:
        activity["with"] = options
    activity["expect"] = [f"recovery < {duration_text(RECOVERY_S)}", *alerts]
    draft.faults.append(activity)
    draft.origins[str(activity["name"])] = step.path
    if kind.wide:
        to_do.append(
            "a whole host feels it: keep it off the hosts of the load by `where`, or say `on_generators`"
        )
    draft.to_do += [f"{activity['name']}: {one}" for one in to_do]
    for lost in wanted.lost:
        draft.leave_out(step.path, f"part of action {step.name!r}", lost)


def _lasts_s(one: _Begun, end_s: float) -> float:
    """From its action to the step that ends it, as it says itself, or to the end of the method."""
    lasts_s = one.wanted.for_s if one.end_s is None else one.end_s - one.at_s
    if lasts_s is None:
        lasts_s = end_s - one.at_s
    return min(LONGEST_S, lasts_s if lasts_s > 0 else HELD_S)


def _of_platform(options: dict[str, object], to_do: list[str], step: Step, back: Step | None) -> str:
    """Give a command or call its way to be seen and taken back; why that is not possible."""
    if isinstance(step.provider, Http):
        if back is None or not isinstance(back.provider, Http):
            return "no rollback over HTTP takes it back, and a fault without a revert is not injected"
        options["revert"] = _call(back.provider)
        options["verify"] = _call(replace(step.provider, method="GET", arguments=None))
        to_do.append("say in `verify` which call is answered by a 2xx only while the fault is in effect")
        return ""
    name = slug(step.name, taken=[], otherwise="fault")
    options["verify"] = [f"verify-{name}"]
    to_do.append(f"write verify-{name}: exits with 0 while the fault is in effect, with 1 while it is not")
    taken_back = words_of(back.provider) if back and isinstance(back.provider, Command) else None
    options["revert"] = taken_back or [f"revert-{name}"]
    if taken_back is None:
        to_do.append(f"write revert-{name}: takes the fault back, and does no harm where there is none")
    return ""


def _call(call: Http) -> dict[str, object]:
    url, body = request_of(call)
    made: dict[str, object] = {"method": call.method, "url": url}
    if call.headers:
        made["headers"] = dict(call.headers)
    if body:
        made["body"] = call.arguments
    return made


def _text_refers(value: object) -> bool:
    if isinstance(value, dict):
        return any(_text_refers(one) for one in value.values())
    if isinstance(value, list):
        return any(_text_refers(one) for one in value)
    return isinstance(value, str) and bool(unresolved(value))
