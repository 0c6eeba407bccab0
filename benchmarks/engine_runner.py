"""Run one real engine child over its pipes, as a worker does, and say what its requests cost.

    from engine_runner import run_engine
    figures = run_engine("http://127.0.0.1:8000", rate_per_s=5000, duration_s=10)
    print(figures.cpu_us, figures.quantile("lag", 0.99))

The engine runs as in a campaign: dispatcher, pool, Locust users, client, recorder, snapshots once a second,
mark file, hub probe, and two bounds (p99(latency) and a goodput), every request recorded.
"""

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from workers.contract import snapshot as contract
from workers.contract.bounds import Bound, Limit
from workers.contract.data import DataSpec, FileData, Fixed, SyntheticData
from workers.contract.schedule import ClosedArrivals, OpenArrivals, Segment
from workers.contract.sketch import EMPTY, Sketch, from_wire, merge
from workers.contract.snapshot import JUDGED, WARMUP, Snapshot
from workers.contract.spec import LoadSpec, ShardTask, TargetSpec, encode_spec
from workers.engine import wire

WITHIN_S = 60.0
"""For the engine to start, to get ready, and to end after the last arrival."""
FENCE_S = 10.0
JSON_BOUNDS = (
    Bound((Limit("latency", "<", 0.25),)),
    Bound((Limit("latency", "<", 0.5), Limit("service_time", "<", 0.1)), goodput=True),
)
STREAM_BOUNDS = (
    Bound((Limit("ttft", "<", 0.25),)),
    Bound((Limit("ttft", "<", 0.5), Limit("tpot", "<", 0.05)), goodput=True),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run came to. `sketches`: by quantity, seconds.

    `cpu_s`: user and system time of the engine's process from its start order to its last word; imports and
    getting ready are left out.
    """

    requests: int
    ok: int
    unsent: int
    wall_s: float
    cpu_s: float
    outcomes: Mapping[str, int]
    sketches: Mapping[str, Sketch] = field(repr=False)
    hub_delay: Sketch = field(repr=False)

    @property
    def cpu_us(self) -> float:
        """CPU of one request in microseconds."""
        return self.cpu_s / max(self.requests, 1) * 1e6

    @property
    def per_s(self) -> float:
        """Requests ended per second of the schedule."""
        return self.requests / self.wall_s

    @property
    def per_core_s(self) -> float:
        """Requests that a second of CPU pays for: throughput per core."""
        return self.requests / self.cpu_s

    def quantile(self, name: str, q: float) -> float:
        """A quantile of one quantity in seconds, e.g. `quantile("ttft", 0.99)`; NaN where there is none."""
        return self.sketches.get(name, EMPTY).quantile(q)


def run_engine(  # noqa: PLR0913  # a benchmark's many settings
    url: str,
    *,
    rate_per_s: float | None = None,
    duration_s: float = 10.0,
    stream: bool = False,
    tokens: int = 64,
    users: int = 64,
    process: str = "poisson",
    max_in_flight: int = 10_000,
    timeout_s: float = 30.0,
    rows: Path | None = None,
    path: str = "/infer",
    cpu: int | None = None,
    seed: int = 1,
    warmup_s: float = 0.0,
) -> Figures:
    """Load `url` with one engine pinned to core `cpu` (None: not pinned) and return what it measured.

    `rate_per_s` None is saturated: `users` that send again as soon as they are answered; else an open loop
    whose arrivals are a `process` (poisson, constant). `stream`: openai-chat streams of `tokens` tokens with
    synthetic prompts, else json-http POSTs to `path` with rows of a file (`rows`; none: ten small ones).
    Requests of the first `warmup_s` are in every count and cost, and in no sketch, as in a campaign.
    Raises RuntimeError where the engine says that it cannot, or ends otherwise than done.
    """
    with tempfile.TemporaryDirectory() as folder:
        arrivals = _arrivals(rate_per_s, duration_s=duration_s, users=users, process=process, seed=seed)
        spec = _spec(
            url, arrivals=arrivals, stream=stream, tokens=tokens,
            data=FileData(str(rows or _rows(Path(folder)))), path=path, timeout_s=timeout_s,
            max_in_flight=max_in_flight, seed=seed, warmup_s=warmup_s,
        )  # fmt: skip
        child = _Child(cpu)
        try:
            return _run(child, spec, mark=str(Path(folder) / "mark"), duration_s=duration_s)
        finally:
            child.end()


def _run(child: "_Child", spec: LoadSpec, *, mark: str, duration_s: float) -> Figures:
    child.until(wire.Warm)
    sha256, body = encode_spec(spec)
    task = ShardTask(
        campaign="bench", activity=spec.activity, shard=0, of=1, number=1, attempt="bench:0:1", worker="w",
        incarnation="i", spec_sha256=sha256, kind="load", expires_s=0.0,
    )  # fmt: skip
    child.say(wire.Prepare(task, body, {}, {}, (), mark))
    child.until(wire.Prepared)
    before_s = child.cpu_s()
    child.authorise()
    child.say(wire.Begin(time.monotonic_ns() + 200_000_000, 0.0, 0.0))
    finished = child.until(wire.Finished, within_s=duration_s + WITHIN_S)
    assert isinstance(finished, wire.Finished)
    cpu_s = child.end() - before_s
    if finished.outcome != "done":
        raise RuntimeError(f"the engine ended {finished.outcome}: {finished.why}")
    return _figures(child.snapshots, duration_s=duration_s, cpu_s=cpu_s)


def _figures(snapshots: list[Snapshot], *, duration_s: float, cpu_s: float) -> Figures:
    outcomes: Counter[str] = Counter()
    sketches: dict[str, Sketch] = {}
    hub_delay = EMPTY
    for snapshot in snapshots:
        if snapshot.hub_delay is not None:
            hub_delay = merge(hub_delay, from_wire(snapshot.hub_delay))
        for cell in snapshot.cells:
            if cell.group not in (JUDGED, WARMUP):
                continue  # the same requests once more
            outcomes.update(cell.outcomes)
            for name, part in cell.sketches.items() if cell.group == JUDGED else ():
                sketches[name] = merge(sketches.get(name, EMPTY), from_wire(part))
    unsent = sum(count for name, count in outcomes.items() if name.startswith("unsent"))
    return Figures(
        requests=outcomes.total() - unsent, ok=outcomes["ok"], unsent=unsent, wall_s=duration_s, cpu_s=cpu_s,
        outcomes=dict(outcomes), sketches=sketches, hub_delay=hub_delay,
    )  # fmt: skip


class _Child:
    """A real engine child, driven as `workers.supervise` does."""

    def __init__(self, cpu: int | None) -> None:
        argv = [sys.executable, "-m", "workers.engine", "--parent", str(os.getpid())]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if cpu is not None:
            os.sched_setaffinity(self._process.pid, {cpu})
        self._buffer = b""
        self._authorised_s = 0.0
        self._cpu_s: float | None = None
        self.snapshots: list[Snapshot] = []

    def say(self, order: wire.ToEngine) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(wire.frame(order))
        self._process.stdin.flush()

    def authorise(self) -> None:
        self._authorised_s = time.monotonic()
        self.say(wire.Authorise(time.clock_gettime_ns(time.CLOCK_BOOTTIME) + int(FENCE_S * 1e9)))

    def cpu_s(self) -> float:
        """CPU time of the process so far, by its own clock."""
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def until(self, kind: type, *, within_s: float = WITHIN_S) -> wire.FromEngine:
        """The next word of a kind; keeps the snapshots that come before it."""
        end_s = time.monotonic() + within_s
        assert self._process.stdout is not None
        while time.monotonic() < end_s:
            while (word := self._next()) is not None:
                if isinstance(word, wire.Taken):
                    self.snapshots.append(contract.decode(word.body))
                if isinstance(word, kind):
                    return word
                if isinstance(word, wire.Finished):
                    raise RuntimeError(  # noqa: TRY004  # no wrong type
                        f"the engine ended {word.outcome}: {word.why}"
                    )
            if self._authorised_s and time.monotonic() - self._authorised_s > 1.0:
                self.authorise()
            if select.select([self._process.stdout], [], [], 0.2)[0]:
                piece = os.read(self._process.stdout.fileno(), 1 << 16)
                if not piece:
                    self.end()
                    raise RuntimeError("the engine died; its traceback is above")
                self._buffer += piece
        raise RuntimeError(f"no {kind.__name__} from the engine within {within_s:g} s")

    def end(self) -> float:
        """Wait for the process (kill it where it does not end); all the CPU time it used."""
        if self._cpu_s is not None:
            return self._cpu_s
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        until_s = time.monotonic() + 5.0
        while True:
            pid, _, usage = os.wait4(self._process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > until_s:
                self._process.kill()
            time.sleep(0.005)
        self._process.returncode = 0
        self._cpu_s = usage.ru_utime + usage.ru_stime
        return self._cpu_s

    def _next(self) -> wire.FromEngine | None:
        head = wire.HEADER.size
        if len(self._buffer) < head:
            return None
        end = head + wire.HEADER.unpack_from(self._buffer)[0]
        if len(self._buffer) < end:
            return None
        word = wire.decode_word(self._buffer[head:end])
        self._buffer = self._buffer[end:]
        return word


def _arrivals(
    rate_per_s: float | None, *, duration_s: float, users: int, process: str, seed: int
) -> OpenArrivals | ClosedArrivals:
    if rate_per_s is None:
        return ClosedArrivals(users=users, think_s=0.0, duration_s=duration_s)
    segment = Segment(0.0, duration_s, rate_per_s, rate_per_s)
    return OpenArrivals(process, (segment,), seed, "bench")  # type: ignore[arg-type]


def _spec(  # noqa: PLR0913  # of `run_engine`
    url: str, *, arrivals: OpenArrivals | ClosedArrivals, stream: bool, tokens: int, data: DataSpec,
    path: str, timeout_s: float, max_in_flight: int, seed: int, warmup_s: float,
) -> LoadSpec:  # fmt: skip
    if stream:
        target = TargetSpec("bench", "openai-chat", url, {"url": url, "model": "bench"}, timeout_s)
        data = SyntheticData(input_tokens=Fixed(32), output_tokens=Fixed(tokens), shared_prefix=Fixed(0))
    else:
        target = TargetSpec("bench", "json-http", url, {"url": url, "path": path}, timeout_s)
    return LoadSpec(
        campaign="bench", phase="p", activity="bench", kind="load", target=target, arrivals=arrivals,
        warmup_s=warmup_s, max_in_flight=max_in_flight, data=data,
        bounds=STREAM_BOUNDS if stream else JSON_BOUNDS,
        tag_groups=(), seed=seed, fence_s=FENCE_S,
    )  # fmt: skip


def _rows(folder: Path) -> Path:
    """Ten small inference requests."""
    path = folder / "rows.jsonl"
    row = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1.0, 2.0, 3.0]}]}
    path.write_text("".join(json.dumps(row | {"id": str(at)}) + "\n" for at in range(10)))
    return path
