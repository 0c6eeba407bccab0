"""What pydantic found, in plain words, by the path of the file."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.campaign.activities import KINDS
from orchestrator.campaign.findings import Finding, nearest
from orchestrator.campaign.targets import Monitor, Target
from orchestrator.campaign.units import UnitError
from orchestrator.campaign.values import ExpressionValueError
from orchestrator.campaign.yaml_reader import Path

_TYPES: Final[Mapping[str, str]] = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "string_too_short": "must not be empty",
    "too_long": "has too many items",
}
_LIMITS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than": ("must be above", "gt"),
    "greater_than_equal": ("must be at least", "ge"),
    "less_than": ("must be below", "lt"),
    "less_than_equal": ("must be at most", "le"),
}


def findings(error: ValidationError, document: object, model: type[BaseModel]) -> Iterator[Finding]:
    """Each of pydantic's errors as a finding, in its order; `document` is what was validated as `model`."""
    for detail in error.errors(include_url=False):
        if not _follows(detail):
            yield _finding(detail, document, model)


def _follows(detail: ErrorDetails) -> bool:
    """Whether it only follows from others: a list counts as too short where its items were refused."""
    given = detail["input"]
    return (
        detail["type"] == "too_short"
        and isinstance(given, list | dict)
        and len(given) >= detail["ctx"]["min_length"]
    )


def real_path(loc: tuple[str | int, ...], document: object) -> Path:
    """Pydantic's location without the names of union branches, which are no keys of the file.

    A key that is missing stays at the end.
    """
    path: list[str | int] = []
    at: Any = document
    for index, step in enumerate(loc):
        in_list = isinstance(at, list) and isinstance(step, int) and step < len(at)
        if in_list or (isinstance(at, dict) and step in at):
            at = at[step]
        elif index < len(loc) - 1 or not isinstance(at, dict):
            continue
        path.append(step)
    return tuple(path)


def _finding(detail: ErrorDetails, document: object, model: type[BaseModel]) -> Finding:
    kind, context = detail["type"], detail.get("ctx", {})
    loc = detail["loc"]
    if loc and loc[-1] == "[key]":
        loc = loc[:-1]
    path = real_path(loc, document)
    cause = context.get("error")
    if isinstance(cause, ExpressionValueError):
        return Finding(path, cause.cause.message, cause.cause.hint, cause.cause.column - 1)
    if isinstance(cause, UnitError):
        return Finding(path, _empty(detail) or cause.message, cause.hint)
    if kind == "missing":
        return Finding(path, f"is missing{_whose(path, document)}")
    if kind == "extra_forbidden":
        return _unknown_key(path, document, _model_at(loc, model))
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return _kind_of_activity(path, document)
    if kind == "literal_error":
        choices = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
        return Finding(path, f"must be one of {choices}", _near_choice(detail, choices))
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        return Finding(path, f"must be {words.removeprefix('must be ')} {context[key]}")
    if kind == "too_short":
        return Finding(path, f"needs at least {context['min_length']}, has {context['actual_length']}")
    if kind == "string_pattern_mismatch":
        return Finding(path, f"must match {context['pattern']}")
    message = _empty(detail) or _TYPES.get(kind) or detail["msg"][:1].lower() + detail["msg"][1:]
    return Finding(path, message, _type_hint(kind, detail["input"]))


def _empty(detail: ErrorDetails) -> str:
    return "is empty; leave the key out or give it a value" if detail["input"] is None else ""


def _type_hint(kind: str, value: object) -> str:
    if kind == "string_type" and isinstance(value, bool | int | float):
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        return f'write it in quotes: "{shown}"'
    if kind == "bool_type" and isinstance(value, str) and value.lower() in ("yes", "on", "true"):
        return "say true"
    if kind == "bool_type" and isinstance(value, str) and value.lower() in ("no", "off", "false"):
        return "say false"
    if kind == "tuple_type" and isinstance(value, str | int | float):
        simple = str(value).replace("_", "").replace(".", "").isalnum()
        return f"say [{value}]" if simple else "begin each line with `- `"
    if kind in ("int_type", "float_type") and isinstance(value, str):
        return "a plain number, no unit and no quotes"
    return ""


def _near_choice(detail: ErrorDetails, choices: str) -> str:
    value = detail["input"]
    hint = nearest(value, choices.split(", ")) if isinstance(value, str) else ""
    return hint if hint.startswith("did you") else ""


def _whose(path: Path, document: object) -> str:
    """` (a load activity needs it)` for a key of an activity."""
    owner = _at(path[:-1], document)
    if len(path) > 1 and path[-3:-2] == ("activities",) and isinstance(owner, dict) and "kind" in owner:
        return f" (a {owner['kind']} activity needs it)"
    return ""


def _at(path: Path, document: Any) -> Any:
    for step in path:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return None
    return document


def _kind_of_activity(path: Path, document: object) -> Finding:
    activity = _at(path, document)
    kinds = [_kind(model) for model in KINDS]
    if not isinstance(activity, dict):
        return Finding(path, "must be a mapping")
    if "kind" not in activity:
        return Finding((*path, "kind"), "is missing", f"one of {', '.join(kinds)}")
    hint = nearest(str(activity["kind"]), kinds)
    return Finding((*path, "kind"), f"unknown kind {activity['kind']!r}", hint)


def _kind(model: type[BaseModel]) -> str:
    return str(model.model_fields["kind"].annotation.__args__[0])  # type: ignore[union-attr]


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _unknown_key(path: Path, document: object, model: type[BaseModel] | None) -> Finding:
    key = str(path[-1])
    owner = _at(path[:-1], document)
    if path[-3:-2] == ("activities",) and isinstance(owner, dict):
        kinds = [_kind(one) for one in KINDS if key in _keys(one)]
        if kinds:
            hint = f"kinds that have it: {', '.join(kinds)}"
            return Finding(path, f"no key of kind {owner.get('kind')}", hint, extra=True)
    if path[:1] == ("targets",) and len(path) == 3 and model in (Target, Monitor):
        other = Monitor if model is Target else Target
        if key in _keys(other):
            own = "target" if other is Monitor else "monitor"
            return Finding(path, f"no key of a {own}", extra=True)
    return Finding(path, "unknown key", nearest(key, _keys(model) if model else []), extra=True)


def _model_at(loc: tuple[str | int, ...], model: type[BaseModel]) -> type[BaseModel] | None:
    """The model that refused the last step of `loc`."""
    at: type[BaseModel] | None = model
    for index, step in enumerate(loc[:-1]):
        if at is None:
            return None
        field = next((f for n, f in at.model_fields.items() if step in (n, f.alias)), None)
        if field is None:
            continue
        at = _model_in(field.annotation, loc[index + 1 : -1]) or at
    return at


def _model_in(annotation: object, branch: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The model inside an annotation; of several, the one whose tag or name `branch` holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    arguments = getattr(annotation, "__args__", ())
    found = [model for one in arguments if (model := _model_in(one, branch))]
    tagged = [model for model in found if _tag(model) in branch]
    return next(iter(tagged or found), None)


def _tag(model: type[BaseModel]) -> str:
    """How a location names this branch of a union: its kind, else its tag."""
    if "kind" in model.model_fields:
        return _kind(model)
    return {
        "Target": ":target",
        "Monitor": ":monitor",
        "FileData": ":file",
        "SyntheticData": ":synthetic",
        "Lengths": ":lengths",
        "PrometheusSource": ":prometheus",
        "ProcessSource": ":process",
    }.get(model.__name__, model.__name__)
