"""Judge one case: which rule compares which field, and whether the answer passes.

Order of rules: the row's own `compare`, the activity's, then by the expected value's type: text `exact`,
numbers and lists of them `close`, else `subset`. A field that is not expected is not compared; status 200 is
expected where nothing else is said.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

import msgspec

import workers.regression
from workers.contract.errors import DataError
from workers.contract.files.golden import MAX_PROBLEMS, Case
from workers.contract.kinds import UnknownKindError, resolve
from workers.protocols.contract import Answer, bounded
from workers.regression.contract import Comparator, is_numeric, shown

DEFAULT_STATUS = 200


@dataclass(frozen=True, slots=True)
class Rule:
    """How one field is compared: the comparator's name and its typed options."""

    field: str
    name: str
    options: object


@dataclass(frozen=True, slots=True)
class FieldVerdict:
    """One field of one case; `why` is None where the answer is as expected."""

    field: str
    rule: str
    why: str | None


@dataclass(frozen=True, slots=True)
class CaseVerdict:
    """A case passes where each expected field does; `why` is the first reason, empty where it passed."""

    passed: bool
    why: str
    fields: tuple[FieldVerdict, ...]


def parse_rules(compare: Mapping[str, object]) -> tuple[Rule, ...]:
    """Type a `compare` mapping, `{FIELD: {RULE: options}}`, with exactly one rule a field.

    Raises DataError that names the field and what is wrong with it.
    """
    return tuple(_parse_rule(field, given) for field, given in compare.items())


def check_cases(cases: Iterable[Case], rules: tuple[Rule, ...], *, path: str) -> None:
    """Check each case's own rules, patterns and schemas before any request is sent.

    Raises DataError that lists every bad line (MAX_PROBLEMS of them, then a count).
    """
    problems = [f"line {case.line}: {why}" for case in cases for why in _case_problems(case, rules)]
    if problems:
        more = len(problems) - MAX_PROBLEMS
        tail = [f"... and {more} more"] if more > 0 else []
        raise DataError("\n".join([f"{path} cannot be judged:", *problems[:MAX_PROBLEMS], *tail]))


def judge_case(case: Case, answer: Answer, rules: tuple[Rule, ...]) -> CaseVerdict:
    """Compare an answer with what its case expects; nothing expected means status 200 alone.

    An answer that never came whole (timeout, reset, incomplete, invalid) fails with its own reason.
    """
    if "status" not in answer.fields or answer.kind in {"incomplete", "invalid"}:
        why = bounded(f"{answer.kind}: {answer.why}" if answer.why else f"no answer: {answer.kind}")
        return CaseVerdict(passed=False, why=why, fields=())
    expected = {"status": DEFAULT_STATUS, **(case.expected or {})}
    by_field = {rule.field: rule for rule in (*rules, *parse_rules(case.compare))}
    fields = tuple(_judge_field(field, want, answer, by_field) for field, want in expected.items())
    reasons = [f"{verdict.field}: {verdict.why}" for verdict in fields if verdict.why is not None]
    why = bounded(reasons[0]) if reasons else ""
    if reasons and reasons[0].startswith("status:") and answer.why:
        why = bounded(f"{reasons[0]} ({answer.why})")
    return CaseVerdict(passed=not reasons, why=why, fields=fields)


def expected_of(baseline: Answer, rules: tuple[Rule, ...]) -> dict[str, object]:
    """What a baseline's answer makes a case expect where its row expects nothing.

    The fields that a rule names; without rules all but the raw body (`json` where there is nothing else) and
    the reasoning. Ids of tool calls are drawn anew by each server, so they are left out.
    """
    fields = baseline.fields
    named = {rule.field for rule in rules}
    chosen = named or set(fields) - {"text", "json", "reasoning"}
    if not named and chosen <= {"status"}:
        chosen = chosen | {"json"}
    expected = {name: value for name, value in fields.items() if name in chosen or name == "status"}
    calls = expected.get("tool_calls")
    if isinstance(calls, list):
        expected["tool_calls"] = [_without_id(call) for call in calls]
    return expected


def rule_for(field: str, expected: object, by_field: Mapping[str, Rule]) -> Rule:
    """The rule that compares a field: the given one, else the one for the expected value's type."""
    given = by_field.get(field)
    if given is not None:
        return given
    name = "exact" if isinstance(expected, str) else "close" if is_numeric(expected) else "subset"
    if field == "status":
        name = "exact"
    return Rule(field, name, _comparator(name).Options())


def _parse_rule(field: str, given: object) -> Rule:
    if not isinstance(given, dict) or len(given) != 1:
        form = "{rule: options}, e.g. {close: {rtol: 0.001}}"
        raise DataError(f"compare.{field} needs one rule, {form}; it is {shown(given)}")
    name, options = next(iter(given.items()))
    try:
        kind = _comparator(str(name))
        return Rule(field, str(name), msgspec.convert(options or {}, kind.Options))
    except UnknownKindError as error:
        raise DataError(f"compare.{field}: {error}") from error
    except msgspec.ValidationError as error:
        raise DataError(f"compare.{field}.{name}: {error}") from error


def _comparator(name: str) -> Comparator:
    return cast("Comparator", resolve(workers.regression.__name__, workers.regression.TABLE, name))


def _case_problems(case: Case, rules: tuple[Rule, ...]) -> list[str]:
    try:
        own = parse_rules(case.compare)
    except DataError as error:
        return [str(error)]
    by_field = {rule.field: rule for rule in (*rules, *own)}
    problems = []
    for field, want in (case.expected or {}).items():
        rule = rule_for(field, want, by_field)
        why = _comparator(rule.name).check(want, rule.options)
        if why:
            problems.append(bounded(f"expected.{field}: {why}"))
    return problems


def _judge_field(field: str, want: object, answer: Answer, by_field: Mapping[str, Rule]) -> FieldVerdict:
    rule = rule_for(field, want, by_field)
    if field not in answer.fields:
        has = ", ".join(sorted(answer.fields))
        return FieldVerdict(field, rule.name, bounded(f"the answer has no such field (it has: {has})"))
    try:
        why = _comparator(rule.name).compare(want, answer.fields[field], rule.options)
    except RecursionError:
        why = "the answer is nested too deeply to be compared"
    return FieldVerdict(field, rule.name, None if why is None else bounded(why))


def _without_id(call: object) -> object:
    return {key: value for key, value in call.items() if key != "id"} if isinstance(call, dict) else call
