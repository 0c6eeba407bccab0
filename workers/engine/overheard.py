"""What Locust's request event says of a request, in this tool's words. Pure."""

from dataclasses import dataclass
from typing import Any

from workers.engine.measure import OK

MOST_WHY = 300
MOST_NAME = 300
"""Characters: a name that is not given is the URL's path, with whatever a user's code puts into it."""
_TIMED_OUT = ("timeout", "timedout")
_NOT_CONNECTED = ("connectionrefused", "newconnection", "gaierror", "nameresolution", "hostunreachable")
_RESET = ("connectionreset", "brokenpipe", "connectionaborted", "remotedisconnected", "connectionerror")
_CUT = ("incompleteread", "chunkedencoding", "protocolerror", "contentdecoding")
_KINDS = (
    ("timeout", _TIMED_OUT),
    ("connect", _NOT_CONNECTED),
    ("incomplete", _CUT),
    ("reset", _RESET),
)
MOST_CAUSES = 8
"""How deep an exception's causes are looked at: clients wrap a socket's error two or three times."""


@dataclass(frozen=True, slots=True)
class Overheard:
    """One request of a user's own code: seconds it took, how it ended, and in plain words why."""

    took_s: float
    outcome: str
    why: str
    name: str
    method: str


def overheard(event: dict[str, Any]) -> Overheard:
    """Read the event's arguments; a listener must take whatever a user's own code fires."""
    outcome, why = outcome_of(event.get("exception"), event.get("response"))
    return Overheard(
        took_s=_seconds(event.get("response_time")),
        outcome=outcome,
        why=why,
        name=str(event.get("name") or "")[:MOST_NAME],
        method=str(event.get("request_type") or ""),
    )


def outcome_of(exception: object, response: object) -> tuple[str, str]:
    """(outcome, why): ok where the code calls it so, whatever the status; else by the status, then the error.

    An error that fits no outcome is `invalid`: the user's code refused an answer that came.
    """
    if exception is None:
        return OK, ""
    why = (f"{type(exception).__name__}: {exception}" if _is_error(exception) else str(exception))[:MOST_WHY]
    status = getattr(response, "status_code", None)
    if isinstance(status, int) and 400 <= status <= 599:
        return f"http_{status}", why
    told = " ".join(type(one).__name__.lower() for one in _causes(exception, response))
    return next((kind for kind, names in _KINDS if any(name in told for name in names)), "invalid"), why


def _is_error(exception: object) -> bool:
    return isinstance(exception, BaseException)


def _causes(exception: object, response: object) -> list[object]:
    """An exception with what it wraps, innermost last; FastHttpUser keeps its error on the response."""
    found: list[object] = []
    ahead = [getattr(response, "error", None), exception]
    while ahead and len(found) < MOST_CAUSES:
        one = ahead.pop()
        if not isinstance(one, BaseException) or one in found:
            continue
        found.append(one)
        ahead += [one.__context__, one.__cause__, getattr(one, "reason", None), *one.args]
    return found


def _seconds(response_time_ms: object) -> float:
    """Of the event's milliseconds; events of one's own may hold none."""
    if isinstance(response_time_ms, int | float) and 0 <= response_time_ms < 1e9:
        return float(response_time_ms) / 1e3
    return 0.0
