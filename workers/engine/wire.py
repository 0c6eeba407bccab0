"""What a worker and its engine child say to each other over two pipes.

Frames: 4 bytes big-endian length, then msgpack of one tagged struct. The child reads orders on stdin and
exits at its end; it writes words on stdout (made non-blocking, with a bounded queue: a worker that hangs
must not stop the load). Monotonic and boot times are in ns of CLOCK_MONOTONIC and CLOCK_BOOTTIME, which
parent and child share.
"""

import struct

import msgspec

from workers.contract.snapshot import ExitOutcome
from workers.contract.spec import ShardTask

HEADER = struct.Struct(">I")
MAX_FRAME_BYTES = 64 * 1024 * 1024
"""A larger frame is a broken pipe, not a message."""


class Seen(msgspec.Struct, frozen=True):
    """What single requests need that are told of. `secrets`: values that must not be seen in what is told.

    `spool`: path of the samples' files without their number; "" where none are written.
    """

    secrets: tuple[str, ...] = ()
    spool: str = ""


class Prepare(msgspec.Struct, frozen=True, tag="prepare"):
    """Get ready for an attempt.

    Open data, compute the schedule, ask the target for readiness if `task.probe`.

    `spec`: JSON bytes of the ActivitySpec; `files`: sha256 -> local path; `headers`: with secrets filled in;
    `allow_targets`: entries `host[:port]` or CIDR beside loopback; `watermark`: path of the shared-memory
    file to create. `target_limits`: HOST:PORT -> requests per second that this engine may send there,
    whatever the spec says.
    """

    task: ShardTask
    spec: bytes
    files: dict[str, str]
    headers: dict[str, str]
    allow_targets: tuple[str, ...]
    watermark: str
    seen: Seen = Seen()
    target_limits: dict[str, float] = {}


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    """The phase's second 0 is monotonic `start_ns`; take arrivals whose intended time is ≥ `from_s`.

    `common_offset_s`: common time = monotonic time + offset.
    """

    start_ns: int
    from_s: float
    common_offset_s: float


class Retime(msgspec.Struct, frozen=True, tag="retime"):
    """The clocks were measured again: steer second 0 towards `start_ns`, by at most 500 ppm."""

    start_ns: int


class Authorise(msgspec.Struct, frozen=True, tag="authorise"):
    """Sending is allowed until `until_ns` (CLOCK_BOOTTIME); before the first of these nothing may be sent."""

    until_ns: int


class HandOver(msgspec.Struct, frozen=True, tag="hand-over"):
    """Begin nothing intended at `until_s` of the phase or later, say `Yielded`, and end with the last answer.

    For a load alone; a second one changes nothing.
    """

    until_s: float


class Halt(msgspec.Struct, frozen=True, tag="halt"):
    """Send nothing more; give up what is in flight, send the final snapshot, exit.

    `why` ends up in the report.
    """

    why: str


ToEngine = Prepare | Begin | Retime | Authorise | HandOver | Halt


class Warm(msgspec.Struct, frozen=True, tag="warm"):
    """Imports are done; an attempt can be prepared at once."""

    pid: int


class Prepared(msgspec.Struct, frozen=True, tag="prepared"):
    """Ready for `Begin`."""

    fingerprint: str
    numpy: str


class Unready(msgspec.Struct, frozen=True, tag="unready"):
    """The target does not answer yet; said again whenever the reason changes. The engine goes on asking."""

    why: str


class Taken(msgspec.Struct, frozen=True, tag="taken"):
    """One snapshot, as `workers.contract.snapshot.encode` made it."""

    seq: int
    body: bytes


class Yielded(msgspec.Struct, frozen=True, tag="yielded"):
    """A promise: nothing intended at `until_s` of the phase or later is begun any more.

    Later than was asked for where the order came late.
    """

    until_s: float


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The last word: how it ended. Nothing was sent after monotonic `silent_ns`."""

    outcome: ExitOutcome
    why: str
    dispatched: int
    last_seq: int
    silent_ns: int


FromEngine = Warm | Prepared | Unready | Taken | Yielded | Finished

encode = msgspec.msgpack.Encoder().encode
decode_order = msgspec.msgpack.Decoder(ToEngine).decode
decode_word = msgspec.msgpack.Decoder(FromEngine).decode


def frame(message: ToEngine | FromEngine) -> bytes:
    """One message with its length in front, ready to be written."""
    body = encode(message)
    return HEADER.pack(len(body)) + body
