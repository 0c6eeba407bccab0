"""One engine under one climb: started by the worker's own supervisor, told and heard as in any attempt."""

import os
import queue
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from workers import parent
from workers.calibrate.climb import Seen, Step, schedule_of, seen_in
from workers.calibrate.server import GAP_S, TOKENS
from workers.contract import snapshot as contract
from workers.contract.data import FileData
from workers.contract.errors import EngineError
from workers.contract.snapshot import Snapshot
from workers.contract.spec import LoadSpec, ShardTask, TargetSpec, attempt_id, encode_spec
from workers.engine import wire
from workers.engine_process import EngineHandle, Gone
from workers.supervise import Supervisor

NAME = "calibration"
START_IN_S = 0.3
SETTLED_S = {"requests": 1.6, "streams": 1.6 + TOKENS * GAP_S}
"""After a second of the schedule, its answers have come and been told of."""
READY_WITHIN_S = 40.0
TIMEOUT_S = 5.0
MOST_IN_FLIGHT = 10_000
IN_A_ROW = 3
"""Steps not kept, one after the other, that end a climb."""
TARGETS = {
    "requests": TargetSpec(NAME, "json-http", "", {}, TIMEOUT_S),
    "streams": TargetSpec(NAME, "openai-chat", "", {"model": NAME, "stream": True}, TIMEOUT_S),
}
ROW = b'{"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [0.1, 0.2, 0.3]}]}\n'
PROMPT = b'{"messages": [{"role": "user", "content": "count to twenty"}], "max_tokens": 20}\n'
ROWS = {"requests": ROW, "streams": PROMPT}


@dataclass(slots=True)
class Heard:
    """What an engine said of its climb so far, and how busy it and the server were."""

    start_s: float = 0.0
    snapshots: list[Snapshot] = field(default_factory=list)
    engine_busy: float = 0.0
    server_busy: float = 0.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What every climb of one calibration shares: engines, the server's port and process, room for files."""

    supervisor: Supervisor
    port: int
    server: psutil.Process
    folder: Path


@contextmanager
def ground(folder: Path) -> Iterator[Ground]:
    """Engines and a server of this machine, gone at the end. Raises EngineError where none starts."""
    argv = [sys.executable, "-m", "workers.calibrate.server", f"{parent.FLAG}={os.getpid()}"]
    supervisor = Supervisor(keep=1, environment=dict(os.environ))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None  # noqa: S101  # asked for above
            said = server.stdout.readline().strip()
            if not said:
                raise EngineError("the server to calibrate against did not start; what it said stands above")
            supervisor.start()
            yield Ground(supervisor, int(said), psutil.Process(server.pid), folder)
        finally:
            supervisor.close()
            server.kill()


def climbed(
    kind: str, climb: tuple[Step, ...], on: Ground, *, tell: Callable[[Seen], None]
) -> tuple[list[Seen], Heard]:
    """Climb until IN_A_ROW steps are not kept; every step that was judged.

    One alone may be a moment in which others had the processor. `kind`: requests or streams. `tell` hears of
    each step. Raises EngineError where the engine dies.
    """
    arrivals = schedule_of(climb)
    engine = on.supervisor.acquire()
    words: queue.SimpleQueue[wire.FromEngine | Gone] = queue.SimpleQueue()
    engine.listen(words.put)
    heard = Heard()
    judged: list[Seen] = []
    try:
        _begin(kind, climb, on, engine=engine, words=words, heard=heard)
        for step in climb:
            before = on.server.cpu_times()
            _listen(words, heard, until_s=heard.start_s + step.end_s + SETTLED_S[kind])
            after = on.server.cpu_times()
            seen = seen_in(step, heard.snapshots, start_s=heard.start_s, arrivals=arrivals)
            used_s = after.user + after.system - before.user - before.system
            heard.server_busy = used_s / (step.end_s - step.start_s)
            heard.engine_busy = _busy(heard, step)
            judged.append(seen)
            tell(seen)
            if len(judged) >= IN_A_ROW and not any(one.kept for one in judged[-IN_A_ROW:]):
                break
    finally:
        engine.kill()
        on.supervisor.release(engine)
    return judged, heard


def _begin(
    kind: str,
    climb: tuple[Step, ...],
    on: Ground,
    *,
    engine: EngineHandle,
    words: "queue.SimpleQueue[wire.FromEngine | Gone]",
    heard: Heard,
) -> None:
    """Ready the engine for the climb and start it."""
    engine.order(_order(kind, climb, on))
    until_s = time.monotonic() + READY_WITHIN_S
    while True:
        word = _next(words, until_s)
        if word is None:
            raise EngineError(f"an engine was not ready within {READY_WITHIN_S:g} s")
        if isinstance(word, wire.Prepared):
            break
    start_ns = time.monotonic_ns() + round(START_IN_S * 1e9)
    heard.start_s = start_ns / 1e9
    engine.order(wire.Begin(start_ns, 0.0, 0.0))
    length_s = climb[-1].end_s + TIMEOUT_S + START_IN_S + SETTLED_S[kind]
    engine.order(wire.Authorise(time.clock_gettime_ns(time.CLOCK_BOOTTIME) + round(length_s * 1e9)))


def _listen(words: "queue.SimpleQueue[wire.FromEngine | Gone]", heard: Heard, *, until_s: float) -> None:
    """Take snapshots until a moment of the monotonic clock, or the engine's last word."""
    while word := _next(words, until_s):
        if isinstance(word, wire.Taken):
            heard.snapshots.append(contract.decode(word.body))
        if isinstance(word, wire.Finished):
            return


def _next(words: "queue.SimpleQueue[wire.FromEngine | Gone]", until_s: float) -> wire.FromEngine | None:
    """The engine's next word; None at `until_s`. Raises EngineError where it has died."""
    wait_s = until_s - time.monotonic()
    try:
        word = words.get(timeout=wait_s) if wait_s > 0 else words.get_nowait()
    except queue.Empty:
        return None
    if isinstance(word, Gone):
        raise EngineError(f"calibrating: {word.words()}; what it said stands above")
    if isinstance(word, wire.Finished) and word.outcome not in ("done", "stopped"):
        raise EngineError(f"calibrating: the engine ended with {word.outcome}: {word.why}")
    return word


def _busy(heard: Heard, step: Step) -> float:
    """The engine's share of a core in its busiest second of a step."""
    shares = [
        one.busy_share
        for one in heard.snapshots
        if step.seconds.start < one.at_s - heard.start_s <= step.seconds.stop + 1
    ]
    return max(shares, default=0.0)


def _order(kind: str, climb: tuple[Step, ...], on: Ground) -> wire.Prepare:
    rows = on.folder / f"{kind}.jsonl"
    rows.write_bytes(ROWS[kind])
    url = f"http://127.0.0.1:{on.port}"
    given = TARGETS[kind]
    target = TargetSpec(given.name, given.protocol, url, {**given.options, "url": url}, TIMEOUT_S)
    spec = LoadSpec(
        campaign=NAME,
        phase=NAME,
        activity=NAME,
        kind="load",
        target=target,
        arrivals=schedule_of(climb),
        warmup_s=0.0,
        max_in_flight=MOST_IN_FLIGHT,
        data=FileData(path=str(rows)),
        bounds=(),
        tag_groups=(),
        seed=1,
        fence_s=10.0,
    )
    sha256, body = encode_spec(spec)
    task = ShardTask(
        campaign=NAME, activity=NAME, shard=0, of=1, number=1, attempt=attempt_id(NAME, 0, 1), worker=NAME,
        incarnation=NAME, spec_sha256=sha256, kind="load", expires_s=0.0,
    )  # fmt: skip
    return wire.Prepare(task, body, {}, {}, (), str(on.folder / f"{kind}-{time.monotonic_ns()}.mark"))
