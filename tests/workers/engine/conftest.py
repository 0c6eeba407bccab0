"""What tests of the engine share: a demo target with its log, a real engine child driven over pipes."""

import json
import os
import select
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from workers.contract import snapshot as contract
from workers.contract.data import FileData
from workers.contract.schedule import Arrivals, OpenArrivals, Segment
from workers.contract.snapshot import Snapshot
from workers.contract.spec import ActivitySpec, LoadSpec, ShardTask, TargetSpec, encode_spec
from workers.engine import wire

WITHIN_S = 20.0
Word = wire.FromEngine


@dataclass
class Demo:
    """A demo target: where it listens, and what it says it received."""

    url: str
    log: Path
    process: "subprocess.Popen[str]"

    def lines(self, event: str) -> list[dict[str, object]]:
        if not self.log.exists():
            return []
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]
        return [line for line in lines if line["event"] == event]

    def ids(self) -> list[str]:
        return [str(line["id"]) for line in self.lines("received")]

    def indices(self) -> list[int]:
        return sorted(int(name.split("/")[1]) for name in self.ids())


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    """Start demo targets with given flags."""
    started: list[Demo] = []

    def start(*flags: str) -> Demo:
        log = tmp_path / f"target-{len(started)}.jsonl"
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.demo_target", "--log", str(log), *flags],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        target = Demo(process.stdout.readline().split()[-1], log, process)
        started.append(target)
        return target

    yield start
    for target in started:
        target.process.kill()
        target.process.wait(WITHIN_S)
        assert target.process.stdout is not None
        target.process.stdout.close()


@dataclass
class Engine:
    """A real engine child; `snapshots` are those that came so far."""

    process: "subprocess.Popen[bytes]"
    mark: str
    snapshots: list[Snapshot] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    buffer: bytes = b""

    def say(self, order: wire.ToEngine) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(wire.frame(order))
        self.process.stdin.flush()

    def authorise(self, for_s: float) -> None:
        self.say(wire.Authorise(time.clock_gettime_ns(time.CLOCK_BOOTTIME) + int(for_s * 1e9)))

    def begin(self, *, in_s: float = 0.2, from_s: float = 0.0) -> int:
        start_ns = time.monotonic_ns() + int(in_s * 1e9)
        self.say(wire.Begin(start_ns, from_s, 0.0))
        return start_ns

    def listen(self, *kinds: type, within_s: float = WITHIN_S) -> Word | None:
        """Wait for a word of one of the kinds; None at the end of the pipe. Keeps snapshots on the way."""
        until_s = time.monotonic() + within_s
        while True:
            while len(self.buffer) >= 4 and len(self.buffer) >= 4 + struct.unpack(">I", self.buffer[:4])[0]:
                end = 4 + struct.unpack(">I", self.buffer[:4])[0]
                word, self.buffer = wire.decode_word(self.buffer[4:end]), self.buffer[end:]
                self.words.append(word)
                if isinstance(word, wire.Taken):
                    self.snapshots.append(contract.decode(word.body))
                if isinstance(word, kinds):
                    return word
            assert self.process.stdout is not None
            left_s = until_s - time.monotonic()
            assert left_s > 0, f"no {kinds} within {within_s} s; got {self.words}"
            if select.select([self.process.stdout], [], [], left_s)[0]:
                piece = os.read(self.process.stdout.fileno(), 65536)
                if not piece:
                    return None
                self.buffer += piece

    def finished(self, *, within_s: float = WITHIN_S) -> wire.Finished:
        word = self.listen(wire.Finished, within_s=within_s)
        assert isinstance(word, wire.Finished)
        assert self.process.wait(WITHIN_S) == 0
        return word

    def outcomes(self, *groups: str) -> Counter[str]:
        """Sum of outcomes over all snapshots, of these groups (judged and warm-up if none is named)."""
        total: Counter[str] = Counter()
        for snapshot in self.snapshots:
            for cell in snapshot.cells:
                if cell.group in (groups or ("", "warmup")):
                    total.update(cell.outcomes)
        return total

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WITHIN_S)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """Start engines; with a spec they are prepared, else only warm."""
    started: list[Engine] = []

    def start(spec: ActivitySpec | None = None, *, shard: int = 0, of: int = 1, **more: object) -> Engine:
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.engine", "--parent", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        child = Engine(process, str(tmp_path / f"mark-{len(started)}"))
        started.append(child)
        assert isinstance(child.listen(wire.Warm), wire.Warm)
        if spec is not None:
            child.say(prepare_of(spec, child.mark, shard=shard, of=of, **more))
        return child

    yield start
    for child in started:
        child.close()


@pytest.fixture
def prepare() -> Callable[..., wire.Prepare]:
    """Make the order that prepares an attempt."""
    return prepare_of


def prepare_of(
    spec: ActivitySpec, mark: str, *, shard: int = 0, of: int = 1, number: int = 1, probe: bool = False,
    skip_rows: tuple[int, ...] = (), files: dict[str, str] | None = None,
) -> wire.Prepare:  # fmt: skip
    sha256, body = encode_spec(spec)
    task = ShardTask(
        campaign="trial", activity=spec.activity, shard=shard, of=of, number=number,
        attempt=f"{spec.activity}:{shard}:{number}", worker="w", incarnation="i", spec_sha256=sha256,
        kind="load", expires_s=0.0, probe=probe, skip_rows=skip_rows,
    )  # fmt: skip
    return wire.Prepare(task, body, files or {}, {}, (), mark)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., LoadSpec]:
    """Make a load of small inference requests on a target's URL."""
    rows = tmp_path / "rows.jsonl"
    row = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]}
    rows.write_text("".join(json.dumps(row | {"id": str(at)}) + "\n" for at in range(10)))

    def make(
        url: str, *, rate: float = 50.0, duration_s: float = 2.0, arrivals: Arrivals | None = None,
        timeout_s: float = 5.0, max_in_flight: int = 100, **more: object,
    ) -> LoadSpec:  # fmt: skip
        segments = (Segment(0.0, duration_s, rate, rate, "whole"),)
        values: dict[str, object] = {
            "campaign": "trial", "phase": "peak", "activity": "surge", "kind": "load",
            "target": TargetSpec(
                "t", "json-http", url, {"url": url, "path": "/v2/models/demo/infer"}, timeout_s
            ),
            "arrivals": arrivals or OpenArrivals("poisson", segments, 7, "peak/surge"),
            "warmup_s": 0.0, "max_in_flight": max_in_flight, "data": FileData(str(rows)),
            "bounds": (), "tag_groups": (), "seed": 1, "fence_s": 10.0,
        }  # fmt: skip
        return LoadSpec(**(values | more))  # type: ignore[arg-type]

    return make
