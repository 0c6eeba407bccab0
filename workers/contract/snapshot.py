"""What a shard sends back every second: deltas, keyed by the second of intended time.

A snapshot is `(activity, shard, attempt, seq)`; a repeat is dropped, a hole is seen. All cells add up: any
order of snapshots gives the same totals. Times are seconds; seconds of the phase count from its start.
"""

from typing import Literal

import msgspec

from workers.contract.bounds import BoundCount
from workers.contract.decoding import guarded
from workers.contract.sketch import SketchWire

JUDGED = ""
"""Group of the requests of the judged span; those of the warm-up are in `WARMUP`, others are "TAG=VALUE"."""
WARMUP = "warmup"
MOST_VALUES = 20
"""Values of a tag of `data.tags` that are counted apart without an expression that names them."""
OUTCOME_GROUP = "@outcome="
"""Failed requests of the judged span once more, by how they failed: "@outcome=http_503". No tag begins so."""
ENDPOINT_GROUP = "@endpoint="
"""Requests of the judged span once more, by what they asked, where one activity asks several things."""
MISSED_GROUP = "@missed="
"""Requests of a group once more whose answer was not what their golden case expects, by their outcome."""
TRIES_GROUP = "@tries"
"""Requests of clients that try again, warm-up included: by how many tries each took, "1", "2", ..."""
MOST_ENDPOINTS = 50
"""Of these groups, in an engine and in all of an activity: users' own code may make names without end."""
TOO_MANY_ENDPOINTS = f"requests have over {MOST_ENDPOINTS} names; only the first are told apart"

REQUEST_SERIES = ("latency", "service_time", "wait", "ttft", "ttft_sent", "ttfot", "tpot", "itl")
"""Series that a request expression may name; the others travel beside them.

`decode`: (last byte - first output) / (tokens - 1), and `per_token`: (last byte - sent) / tokens, which other
tools report as their inter-token latency and their time per output token.
"""
OWN_DELAY = "own_delay"
"""What the generator itself added to a request at most: its lag and the lateness of the last hub probe."""
QUANTITIES = (*REQUEST_SERIES, "connect", "lag", "latency_failed", "decode", "per_token", OWN_DELAY)

ABANDONED = "abandoned"
"""Outcome of a request that was sent but left by an engine that stopped or died."""
UNSENT_TARGET = "unsent_target"
UNSENT_GENERATOR = "unsent_generator"


class Cell(msgspec.Struct, array_like=True):
    """Deltas of one second of intended time in one group.

    `outcomes`: count by `ok`, `http_NNN`, `timeout`, ...; `bounds`: by bound id; `sketches`: by quantity,
    seconds; `ok_without_tokens`: ok requests whose output tokens are unknown.
    """

    second: int
    group: str
    outcomes: dict[str, int]
    bounds: dict[str, BoundCount]
    sketches: dict[str, SketchWire]
    input_tokens: int = 0
    output_tokens: int = 0
    ok_without_tokens: int = 0


class CaseResult(msgspec.Struct, array_like=True, frozen=True):
    """One golden case judged once.

    `row` is its position in the golden file, `why` is empty when it passed.
    """

    row: int
    case: str
    outcome: str
    passed: bool
    why: str
    latency_s: float
    weight: float = 1.0
    tags: dict[str, str] = {}
    agreed: bool | None = None


class ErrorExample(msgspec.Struct, array_like=True, frozen=True):
    """One failed request that stands for its kind; text is bounded and came from the target: escape it.

    `trace_id`: of its `traceparent`; `excerpt`: how its answer began, bounded and masked.
    """

    outcome: str
    text: str
    request_id: str
    intended_s: float
    trace_id: str = ""
    excerpt: str = ""


class SlowRequest(msgspec.Struct, array_like=True, frozen=True):
    """One of the slowest requests of a snapshot; times in seconds, excerpts bounded and masked: escape them.

    `intended_s` since the phase's start; `ttft_s` None without a stream; `status` 0 without an answer.
    """

    request_id: str
    trace_id: str
    outcome: str
    intended_s: float
    latency_s: float
    service_time_s: float
    ttft_s: float | None = None
    status: int = 0
    asked: str = ""
    answered: str = ""


class RetryCounts(msgspec.Struct, array_like=True):
    """What the client's own retries did: deltas. `tries`: requests that were over after so many tries.

    `tried_again`: tries that were followed by another, by their outcome. `not_again`: requests that would
    have been tried again but for `budget`, `breaker`, `attempts` (all used), `within` (too late),
    `rate_limit`, `stopped` or `exhausted` (no socket left here). `written`: tries that reached the wire, as
    many as the target's own log holds. `opened`: how often a breaker opened; `held_back`: requests that it
    kept from being sent.
    """

    tries: dict[int, int] = {}
    tried_again: dict[str, int] = {}
    not_again: dict[str, int] = {}
    written: int = 0
    opened: int = 0
    held_back: int = 0


class SessionCounts(msgspec.Struct, array_like=True):
    """Conversations of several turns: deltas, but for `offered` and `waiting`, which are as they stand.

    `whole`: had all their turns; `broken`: by the turn (from 1) that failed or was not sent; `over`: cut by
    the end of the schedule. `offered`: turns handed out by this attempt so far; `waiting`: conversations
    between two turns.
    """

    begun: int = 0
    whole: int = 0
    broken: dict[int, int] = {}
    over: int = 0
    offered: int = 0
    waiting: int = 0


class Snapshot(msgspec.Struct):
    """One second's report of one attempt.

    `dispatched`: all own indices below it are decided (sent, or given up). `in_flight`: own indices handed
    out and not yet ended. `running`: highest number in flight by second. `completions`: answers by the
    second in which they ended. `start_lag_s`: first send minus its intended time, once known. `busy_share`:
    engine CPU of one core. `sampled`: requests picked as samples, whatever became of their rows.
    """

    activity: str
    shard: int
    attempt: str
    seq: int
    at_s: float
    dispatched: int
    sent: int
    in_flight: list[int]
    cells: list[Cell]
    running: dict[int, int] = {}
    completions: dict[int, int] = {}
    hub_delay: SketchWire | None = None
    busy_share: float = 0.0
    start_lag_s: float | None = None
    cases: list[CaseResult] = []
    examples: list[ErrorExample] = []
    warnings: list[str] = []
    final: bool = False
    slowest: list[SlowRequest] = []
    retries: RetryCounts | None = None
    sampled: int = 0
    sessions: SessionCounts | None = None


encode = msgspec.msgpack.Encoder().encode
decode = guarded(msgspec.msgpack.Decoder(Snapshot).decode)

ExitOutcome = Literal["done", "stopped", "died", "error", "refused"]
"""How an attempt ended.

All its work done; told to stop or past its fence; its engine died, or its host cannot run one though another
may; our error; not allowed.
"""
