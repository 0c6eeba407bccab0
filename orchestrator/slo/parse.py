"""Text of an expression to data, by recursive descent over the grammar of METRICS.md section 5."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal, cast

from orchestrator.campaign.units import NUMBER
from orchestrator.errors import ExpressionError
from orchestrator.slo import names
from orchestrator.slo.cursor import WORD, Cursor, nearest
from orchestrator.slo.expressions import (
    Alert,
    Body,
    Comparison,
    Drift,
    Expression,
    Gauge,
    Goodput,
    Limit,
    Method,
    Operator,
    Outcomes,
    Place,
    Quantile,
    Scalar,
    Stat,
    Suffixes,
    Value,
)
from orchestrator.slo.places import check_place
from orchestrator.slo.quantities import duration, quantity

# Longer ones are no expression; the bound keeps every message and every match short.
MAX_CHARACTERS: Final = 1000

_NOT_JUDGED: Final[Mapping[str, str]] = {
    "lag": "it is the generator's doing: its limit is `lag_p99` in `validity`",
    "hub_delay": "it is the generator's doing: see `validity`",
    "connect": "it is part of latency",
}
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_DIGITS: Final = re.compile(r"\d+(?=\s|$)")
_STRING: Final = re.compile(r'"([^"]*)"')
_OPERATOR: Final = re.compile(r"<=|>=|<|>")
_HTTP: Final = re.compile(r"http_[1-5](?:xx|[0-9][0-9])")
_QUANTILE: Final = re.compile(rf"p({NUMBER})(?=\s*\()")


def parse(text: str, *, place: Place) -> Expression:
    """Read one expression as it may stand in `place`.

    Bounds come out in base units (seconds, fraction, per second, bytes, number, money with its currency).
    Raises ExpressionError with the column where reading stopped. Source: METRICS.md section 5.
    """
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(f"longer than {MAX_CHARACTERS} characters", column=1)
    cursor = Cursor(text)
    cursor.skip()
    if cursor.at == len(text):
        raise cursor.error("is empty", "say for example p99(latency) < 250ms")
    body = _body(cursor)
    suffixes = _suffixes(cursor)
    return check_place(Expression(text.strip(), body, suffixes), place)


def _body(cursor: Cursor) -> Body:
    word = cursor.word()
    if word in ("never", "always"):
        cursor.at += len(word)
        return _outcomes(cursor, always=word == "always")
    if word == "alert":
        cursor.at += len(word)
        return _alert(cursor)
    if word == "metric":
        cursor.at += len(word)
        return _gauge(cursor)
    value, units = _value(cursor)
    found = cursor.take(_OPERATOR)
    if found is None:
        raise cursor.error("needs < <= > or >= and a bound", cursor.unclosed() or _other_operator(cursor))
    bound, unit = quantity(cursor, units)
    return Comparison(value, cast("Operator", found[0]), bound, unit)


def _other_operator(cursor: Cursor) -> str:
    """A hint where another language's comparison stands."""
    return "say <= or >=" if cursor.text[cursor.at : cursor.at + 1] in ("=", "≤", "≥", "!") else ""


def _value(cursor: Cursor) -> tuple[Value, tuple[str, ...]]:
    """The left side, and the units that its bound may have."""
    start = cursor.at
    if found := cursor.take(_QUANTILE):
        q = Decimal(found[1]) / 100
        if not 0 < q < 1:
            raise cursor.error("a quantile lies between p0 and p100, both excluded", at=start)
        series = _series(cursor, names.ALL_SERIES)
        return Quantile(float(q), series), names.ALL_SERIES[series].units
    word = cursor.word()
    cursor.at += len(word)
    if word in ("mean", "max", "min"):
        series = _series(cursor, names.ALL_SERIES)
        return Stat(cast('Literal["mean", "max", "min"]', word), series), names.ALL_SERIES[series].units
    if word == "goodput":
        return _goodput(cursor), (names.FRACTION,)
    if word == "drift":
        return _drift(cursor), (names.NUMBER,)
    if word in names.SCALARS:
        return Scalar(word), names.SCALARS[word].units
    raise _unknown_value(cursor, word, start)


def _unknown_value(cursor: Cursor, word: str, start: int) -> ExpressionError:
    if re.fullmatch(r"[pP][0-9.]*|mean|max|min", word):
        return cursor.error(f"{word} of what?", f"say {word.lower()}(latency)", at=start)
    if word in names.ALL_SERIES:
        return cursor.error(f"{word} has many values", f"say p99({word}) or mean({word})", at=start)
    if word in _NOT_JUDGED:
        return cursor.error(f"{word} is not judged", _NOT_JUDGED[word], at=start)
    if not word:
        hint = cursor.unclosed() or "say for example p99(latency) < 250ms"
        return cursor.error("begins with no name", hint, at=start)
    forms = ("p99", "mean", "max", "min", "goodput", "drift", "never", "always", "alert", "metric")
    known = (*names.SCALARS, *names.ALL_SERIES, *forms)
    return cursor.error(f"unknown name {word!r}", nearest(word, known), at=start)


def _series(cursor: Cursor, known: Mapping[str, names.Series]) -> str:
    cursor.need("(", "before the series")
    start = cursor.at
    found = cursor.need_match(WORD, "a series, e.g. latency")
    if found[0] not in known:
        if found[0] in names.SCALARS:
            raise cursor.error(f"{found[0]} has one value", f"say {found[0]} without brackets", at=start)
        if found[0] in _NOT_JUDGED:
            raise cursor.error(f"{found[0]} is not judged", _NOT_JUDGED[found[0]], at=start)
        hint = nearest(found[0], known) or f"one of {', '.join(names.REQUEST_SERIES)}"
        raise cursor.error(f"unknown series {found[0]!r}", hint, at=start)
    cursor.need(")", "after the series")
    return found[0]


def _goodput(cursor: Cursor) -> Goodput:
    cursor.need("(", "after goodput")
    limits = [_limit(cursor)]
    while cursor.taken(","):
        limits.append(_limit(cursor))
    cursor.need(")", "after the limits")
    return Goodput(tuple(limits))


def _limit(cursor: Cursor) -> Limit:
    cursor.skip()
    start = cursor.at
    series = cursor.need_match(WORD, "a limit, e.g. ttft < 500ms")[0]
    if series == "itl":
        raise cursor.error("one request has no single itl", "say tpot", at=start)
    if series not in names.PER_REQUEST_SERIES:
        known = f"one of {', '.join(names.PER_REQUEST_SERIES)}"
        hint = nearest(series, names.PER_REQUEST_SERIES) or known
        raise cursor.error(f"unknown series {series!r} in goodput", hint, at=start)
    operator = cursor.take(_OPERATOR)
    if operator is None or operator[0].startswith(">"):
        at = operator.start() if operator else cursor.at
        raise cursor.error("a limit needs < or <=", at=at)
    bound, _ = quantity(cursor, (names.SECONDS,))
    return Limit(series, cast('Literal["<", "<="]', operator[0]), bound)


def _drift(cursor: Cursor) -> Drift:
    cursor.need("(", "after drift")
    cursor.skip()
    start = cursor.at
    method = cursor.need_match(WORD, f"a method: {', '.join(names.DRIFT_METHODS)}")[0]
    if method not in names.DRIFT_METHODS:
        raise cursor.error(f"unknown method {method!r}", f"one of {', '.join(names.DRIFT_METHODS)}", at=start)
    cursor.need(",", "after the method")
    field = cursor.need_match(_FIELD, "an output field")[0]
    cursor.need(")", "after the field")
    return Drift(cast("Method", method), field)


def _outcomes(cursor: Cursor, *, always: bool) -> Outcomes:
    cursor.need("(", "after " + ("always" if always else "never"))
    found = [_outcome(cursor)]
    while cursor.taken(","):
        found.append(_outcome(cursor))
    cursor.need(")", "after the outcomes")
    return Outcomes(always, tuple(found))


def _outcome(cursor: Cursor) -> str:
    cursor.skip()
    start = cursor.at
    word = cursor.need_match(WORD, "an outcome, e.g. http_5xx")[0]
    if word not in names.OUTCOMES and not _HTTP.fullmatch(word):
        known = (*names.OUTCOMES, "http_4xx", "http_5xx")
        raise cursor.error(f"unknown outcome {word!r}", nearest(word, known), at=start)
    return word


def _alert(cursor: Cursor) -> Alert:
    cursor.need("(", "after alert")
    name = cursor.need_match(WORD, "the alert's name")[0]
    cursor.need(")", "after the alert's name")
    verb = cursor.word()
    if verb == "never":
        cursor.at += len(verb)
        cursor.need("fires", "after never")
        return Alert(name, "never_fires", None)
    if verb not in ("fires", "resolves"):
        raise cursor.error("needs `fires within`, `resolves within` or `never fires`")
    cursor.at += len(verb)
    cursor.need("within", f"after {verb}")
    event: Literal["fires", "resolves"] = "fires" if verb == "fires" else "resolves"
    return Alert(name, event, duration(cursor))


def _gauge(cursor: Cursor) -> Gauge:
    cursor.need("(", "after metric")
    metric = cursor.need_match(WORD, "the metric's name")[0]
    labels = _labels(cursor) if cursor.taken("{") else ()
    cursor.need(")", "after the metric")
    cursor.need("returns", "after the metric")
    cursor.need("within", "after returns")
    return Gauge(metric, labels, duration(cursor))


def _labels(cursor: Cursor) -> tuple[tuple[str, str], ...]:
    labels: list[tuple[str, str]] = []
    while not labels or cursor.taken(","):
        name = cursor.need_match(WORD, "a label's name")[0]
        cursor.need("=", "after the label's name")
        value = cursor.need_match(_STRING, "the label's value in double quotes")[1]
        labels.append((name, value))
    cursor.need("}", "after the labels")
    return tuple(labels)


def _suffixes(cursor: Cursor) -> Suffixes:
    over_s: tuple[float, ...] = ()
    during: str | None = None
    outside = False
    tag: tuple[str, str] | None = None
    while word := _suffix_word(cursor):
        start = cursor.at
        cursor.at += len(word)
        if word == "over" and not over_s:
            over_s = _windows(cursor)
        elif word == "during" and during is None and not outside:
            during = cursor.need_match(_NAME, "a fault's or stage's name")[0]
        elif word == "outside" and during is None and not outside:
            cursor.need("faults", "after outside")
            outside = True
        elif word == "for" and tag is None:
            tag = _tag(cursor)
        else:
            clash = "during and outside faults exclude each other" if word in ("during", "outside") else ""
            raise cursor.error(f"{word!r} stands twice or beside its opposite", clash, at=start)
    return Suffixes(over_s, during, outside, tag)


def _suffix_word(cursor: Cursor) -> str:
    """The next suffix's word; nothing at the end. Raises ExpressionError for anything else."""
    word = cursor.word()
    if word in ("over", "during", "outside", "for"):
        return word
    if cursor.at < len(cursor.text):
        rest = cursor.text[cursor.at : cursor.at + 20]
        hint = "after the bound stand only: over, during, outside faults, for TAG=VALUE"
        if word in ("and", "or"):
            hint = "one claim a line: write each as an expression of its own"
        raise cursor.error(f"{rest!r} is not understood here", cursor.unclosed() or hint)
    return ""


def _windows(cursor: Cursor) -> tuple[float, ...]:
    first = duration(cursor)
    if cursor.word() != "and":
        return (first,)
    cursor.at += len("and")
    cursor.skip()
    start = cursor.at
    second = duration(cursor)
    if second >= first:
        raise cursor.error("the longer window stands first", at=start)
    return (first, second)


def _tag(cursor: Cursor) -> tuple[str, str]:
    name = cursor.need_match(_FIELD, "a tag's name")[0]
    cursor.need("=", "after the tag's name")
    if found := cursor.take(_STRING):
        return name, found[1]
    if found := cursor.take(_DIGITS):
        return name, found[0]
    return name, cursor.need_match(WORD, 'a value, in double quotes where it is no word: "a b"')[0]
