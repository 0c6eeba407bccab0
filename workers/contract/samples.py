"""Samples: which requests are kept one by one, and the file in which an engine leaves them for its worker.

A spool file is a row of frames, each 4 bytes of length (big-endian) and msgpack: first the header, then lists
of samples. An engine that dies leaves at most a frame that is cut short, and that one is not read.
"""

import hashlib
import struct
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from workers.contract.snapshot import ABANDONED, UNSENT_GENERATOR, UNSENT_TARGET

_LENGTH: Final = struct.Struct(">I")
_MASK: Final = 2**64 - 1
OPEN: Final = ".open"
DONE: Final = ".done"
"""Ends of a spool file's name: while its engine writes to it, and once it is whole."""

NOT_SAMPLED: Final = frozenset({ABANDONED, UNSENT_TARGET, UNSENT_GENERATOR})
"""Outcomes of arrivals that never ended as requests: they have no times, and no row."""


class SampleSpec(msgspec.Struct, frozen=True):
    """What of an activity is kept: `share` of its requests (0 < share ≤ 1), as files under `url`."""

    share: float
    url: str


class SpoolHeader(msgspec.Struct, frozen=True):
    """Whose samples a spool file holds, and where they go.

    `start_s`: the phase's second 0, common time. `place`: number of this file, from 0, among the attempt's.
    `traced`: requests carried the trace id that follows from their id.
    """

    campaign: str
    phase: str
    activity: str
    shard: int
    number: int
    attempt: str
    start_s: float
    warmup_s: float
    url: str
    place: int
    traced: bool = True


class Sample(msgspec.Struct, array_like=True, frozen=True):
    """One request that was sent and is over. Times in seconds, `intended_s` and `sent_s` of the phase.

    `sent_s` None: nothing was written. `itl`: gaps between output chunks, 32-bit floats in this machine's
    order. `status`: 0 without an answer. `stage`: name of the schedule's, "" where it has none.
    """

    index: int
    request_id: str
    intended_s: float
    sent_s: float | None
    wait_s: float
    connect_s: float
    lag_s: float
    latency_s: float
    service_time_s: float
    ttft_s: float | None
    ttft_sent_s: float | None
    ttfot_s: float | None
    tpot_s: float | None
    itl: bytes
    input_tokens: int | None
    output_tokens: int | None
    status: int
    outcome: str
    why: str
    tags: dict[str, str]
    stage: str


encode = msgspec.msgpack.Encoder().encode
_header = msgspec.msgpack.Decoder(SpoolHeader).decode
_samples = msgspec.msgpack.Decoder(list[Sample]).decode


def picks(seed: int, index: int, share: float) -> bool:
    """Whether the request of this arrival is kept: the same for every split, attempt and machine.

    Source: SplitMix64's mixing function (Steele, Lea & Flood, OOPSLA 2014).
    """
    if share >= 1.0:
        return True
    mixed = (seed + (index + 1) * 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return (mixed ^ (mixed >> 31)) < share * 2.0**64


def trace_id(campaign: str, request_id: str) -> str:
    """The trace id that a request's `traceparent` carries: 32 hexadecimal digits."""
    return hashlib.sha256(f"{campaign}/{request_id}".encode()).hexdigest()[:32]


def frame(body: bytes) -> bytes:
    """One frame of a spool file."""
    return _LENGTH.pack(len(body)) + body


def read_spool(path: Path) -> tuple[SpoolHeader, Iterator[list[Sample]]]:
    """A spool file's header, and its samples frame by frame up to the first that is not whole.

    Raises OSError, and ValueError where there is not even a header.
    """
    frames = _frames(path)
    head = next(frames, None)
    if head is None:
        raise ValueError("it is empty or cut short")
    return _header(head), _read(frames)


def gaps_of(itl: bytes) -> "array[float]":
    """The gaps of a sample, in seconds."""
    return array("f", itl)


def gap_bytes(gaps_s: "tuple[float, ...]") -> bytes:
    """Gaps as a sample holds them."""
    return array("f", gaps_s).tobytes() if gaps_s else b""


def _frames(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while len(length := file.read(_LENGTH.size)) == _LENGTH.size:
            (size,) = _LENGTH.unpack(length)
            body = file.read(size)
            if len(body) < size:
                return
            yield body


def _read(frames: Iterator[bytes]) -> Iterator[list[Sample]]:
    for body in frames:
        try:
            samples = _samples(body)
        except msgspec.DecodeError:
            return  # the disk gave out in the middle; what stands before it counts
        yield samples
