"""gRPC's status codes: their names, the HTTP status that each is booked as, and the words that came with one.

Source: google.rpc.Code (each code's HTTP mapping); gRPC over HTTP2, Status-Message (percent-encoded UTF-8).
"""

from typing import Final, NamedTuple
from urllib.parse import unquote

from workers.protocols.contract import Headers


class Code(NamedTuple):
    """A code's name, and the HTTP status that says the same."""

    name: str
    http_status: int


CODES: Final = {
    0: Code("OK", 200),
    1: Code("CANCELLED", 499),
    2: Code("UNKNOWN", 500),
    3: Code("INVALID_ARGUMENT", 400),
    4: Code("DEADLINE_EXCEEDED", 504),
    5: Code("NOT_FOUND", 404),
    6: Code("ALREADY_EXISTS", 409),
    7: Code("PERMISSION_DENIED", 403),
    8: Code("RESOURCE_EXHAUSTED", 429),
    9: Code("FAILED_PRECONDITION", 400),
    10: Code("ABORTED", 409),
    11: Code("OUT_OF_RANGE", 400),
    12: Code("UNIMPLEMENTED", 501),
    13: Code("INTERNAL", 500),
    14: Code("UNAVAILABLE", 503),
    15: Code("DATA_LOSS", 500),
    16: Code("UNAUTHENTICATED", 401),
}
DEADLINE_EXCEEDED: Final = 4


def code_of(text: str) -> int:
    """A grpc-status; what is no known code is UNKNOWN (2), as gRPC's own clients read it."""
    return int(text) if text.isascii() and text.isdigit() and int(text) in CODES else 2


def words_of(headers: Headers) -> str:
    """`NOT_FOUND: Model x not found`, of an answer's headers and trailers; empty where they hold none."""
    found = dict(headers)
    status = found.get("grpc-status")
    if status is None:
        return ""
    name = CODES[code_of(status)].name
    said = unquote(found.get("grpc-message", ""), errors="replace")
    return f"{name}: {said}" if said.strip() else name
