"""What pydantic found, in plain words, by the path of the file."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.campaign.activities import KINDS
from orchestrator.campaign.empties import IS_EMPTY
from orchestrator.campaign.findings import Finding, nearest
from orchestrator.campaign.targets import Monitor, Target
from orchestrator.campaign.units import UnitError
from orchestrator.campaign.values import ExpressionValueError
from orchestrator.campaign.yaml_reader import Path
from workers.protocols import TABLE as PROTOCOLS

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
_NO_MAPPING: Final = ("model_type", "model_attributes_type")
_FORMS: Final[Mapping[str, str]] = {
    "data": "a file's path, or a mapping with `file` or `synthetic`",
    "sources": "nvml, host, {prometheus: TARGET} or {process: MATCH}",
    "match": "a mapping with one of name, cmdline, port, pidfile, e.g. {port: 8000}",
    "where": "a mapping with label, host, gpus, at_most, e.g. {label: gpu}",
    "arrivals": "a mapping, e.g. {process: poisson, rate: 10/s}",
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
        return Finding(path, f"is missing{_whose(path, document)}", _choice(path))
    if kind == "extra_forbidden":
        return _unknown_key(path, document, _model_at(loc, model))
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return _kind_of_activity(path, document)
    if kind == "literal_error":
        choices = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
        message = _empty(detail) or f"must be one of {choices}"
        return Finding(path, message, _near_choice(detail, choices))
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        limit = context[key]
        return Finding(path, f"{words} {limit:g}" if isinstance(limit, float) else f"{words} {limit}")
    if kind == "too_short":
        return Finding(path, f"needs at least {context['min_length']}, has {context['actual_length']}")
    if kind in _NO_MAPPING and path and (form := _form(path)) and detail["input"] is not None:
        return Finding(path, f"must be {form}")
    message = _empty(detail) or _TYPES.get(kind) or detail["msg"][:1].lower() + detail["msg"][1:]
    return Finding(path, message, _type_hint(kind, detail["input"]))


def _empty(detail: ErrorDetails) -> str:
    return IS_EMPTY if detail["input"] is None else ""


def _form(path: Path) -> str:
    """What may stand at a key, or in the list of a key, that takes more than mappings."""
    key = path[-2] if isinstance(path[-1], int) else path[-1]
    return _FORMS.get(str(key), "")


def _choice(path: Path) -> str:
    """A hint where one of several keys is needed and the missing one is only the first of them."""
    if path[-1] == "protocol" and path[:1] == ("targets",):
        return f"one of {', '.join(PROTOCOLS)}; a monitor has prometheus or alertmanager instead"
    if path[-2:] == ("data", "file"):
        return "or synthetic: {input_tokens: 32, output_tokens: 24}"
    return "or process: {port: 8000}" if path[-3:-2] == ("sources",) and path[-1] == "prometheus" else ""


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
        near = get_close_matches("kind", activity, n=1)
        meant = f"it is not {near[0]}; " if near else ""
        return Finding((*path, "kind"), "is missing", f"{meant}one of {', '.join(kinds)}")
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
            hint = "a target has a protocol, a monitor has none"
            return Finding(path, f"no key of a {own}", hint, extra=True)
    if path[-2:] == ("data", "file"):
        return Finding(path, "stands beside synthetic", "say one of them", extra=True)
    if key.startswith("x-"):
        return Finding(path, "unknown key", "keys that begin with x- stand at the top level", extra=True)
    known = _keys(model) if model else []
    # a mapping that could be either is read as the first: the other's keys are as near
    known += [
        other for one, other in (("file", "synthetic"), ("prometheus", "process")) if known[:1] == [one]
    ]
    return Finding(path, "unknown key", nearest(key, known), extra=True)


def _model_at(loc: tuple[str | int, ...], model: type[BaseModel]) -> type[BaseModel] | None:
    """The model that refused the last step of `loc`."""
    at: type[BaseModel] | None = model
    named_by_the_user = False
    for index, step in enumerate(loc[:-1]):
        if at is None:
            return None
        if named_by_the_user:
            # a target may be called `demo`, which is a key of targets too
            named_by_the_user = False
            continue
        field = next((f for n, f in at.model_fields.items() if step in (n, f.alias)), None)
        if field is None:
            continue
        at = _model_in(field.annotation, loc[index + 1 : -1]) or at
        named_by_the_user = _is_mapping(field.annotation)
    return at


def _is_mapping(annotation: object) -> bool:
    return get_origin(annotation) is dict or any(_is_mapping(one) for one in get_args(annotation)[:1])


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
