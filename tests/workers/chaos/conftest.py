"""Real processes to break, real agents to break them, and bounded waiting."""

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from workers.chaos.aim import Aim
from workers.chaos.contract import FaultEvent, FaultOrder, HostRules, Match, ProcessId
from workers.chaos.processes import is_alive, look, look_at_all
from workers.contract.errors import FaultError

IDLE = "import signal; print('up', flush=True); signal.pause()"
LAUNCH = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", *sys.argv[1:]], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, start_new_session=True)
words = child.stdout.readline().decode().strip()
print(child.pid, words, flush=True)
"""
PATIENCE_S = 20.0


def wait_until(condition: Callable[[], object], within_s: float = PATIENCE_S) -> float:
    """Look every 2 ms; return the seconds it took, fail where it takes longer than `within_s`."""
    start_s = time.monotonic()
    while not condition():
        assert time.monotonic() - start_s < within_s, f"not within {within_s} s"
        time.sleep(0.002)
    return time.monotonic() - start_s


@pytest.fixture
def until() -> Callable[..., float]:
    return wait_until


@dataclass(frozen=True, slots=True)
class Orphan:
    """A process that is nobody's child here; `words` is what it said first."""

    who: ProcessId
    words: str

    @property
    def pid(self) -> int:
        return self.who.pid

    def state(self) -> str:
        process = look(self.who.pid)
        return process.state if process and process.create_time == self.who.create_time else "gone"


@pytest.fixture
def orphan() -> Iterator[Callable[..., Orphan]]:
    """Start Python code that prints a line when it is up, not as a child of the tests; end it afterwards."""
    started: list[ProcessId] = []

    def start(code: str = IDLE, *arguments: str) -> Orphan:
        command = [sys.executable, "-c", LAUNCH, code, *arguments]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout
        pid, _, words = said.strip().partition(" ")
        process = look(int(pid))
        assert process is not None
        started.append(process.identity())
        one = Orphan(process.identity(), words)
        asleep_by_s = time.monotonic() + 0.5  # where the host is busy, it may still be on its way to sleep
        while one.state() == "R" and time.monotonic() < asleep_by_s:
            time.sleep(0.002)
        return one

    yield start
    everyone = look_at_all()
    sessions = {who.pid for who in started}
    for pid in everyone:
        with suppress(OSError):
            if os.getsid(pid) in sessions:
                os.kill(pid, signal.SIGKILL)
    for who in started:
        wait_until(lambda who=who: not is_alive(who))


@dataclass(frozen=True, slots=True)
class Agent:
    """A running agent: its process, its ledger, and the file that tells it why to stop."""

    process: subprocess.Popen[str]
    ledger: Path
    stop: Path

    def event(self) -> FaultEvent:
        """Return the next event; a hung agent runs into the test's own time limit."""
        assert self.process.stdout is not None
        return msgspec.json.decode(self.process.stdout.readline(), type=FaultEvent)

    def until_event(self, what: str) -> FaultEvent:
        event = self.event()
        while event.what != what:
            event = self.event()
        return event

    def rest(self) -> list[FaultEvent]:
        out, _ = self.process.communicate(timeout=PATIENCE_S)
        return [msgspec.json.decode(line, type=FaultEvent) for line in out.splitlines()]

    def open_entries(self) -> list[Path]:
        return sorted(self.ledger.glob("*.json"))

    def guardians(self) -> list[int]:
        mine = str(self.ledger)
        return [
            process.pid
            for process in look_at_all().values()
            if "workers.chaos.guardian" in process.argv and any(mine in word for word in process.argv)
        ]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    """Start an agent for an order; afterwards neither it nor a guardian of its is left.

    `inside`: words before its command, which must not fork; `environment`: more of it.
    """
    started: list[Agent] = []

    def start(
        order: FaultOrder,
        *manner: str,
        folder: Path = tmp_path,
        inside: tuple[str, ...] = (),
        **environment: str,
    ) -> Agent:
        ledger, stop = folder / "ledger", folder / "stop"
        command = [*inside, sys.executable, str(Path(__file__).with_name("agent.py")), str(ledger)]
        command += [msgspec.json.encode(order).decode(), str(stop), *manner]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **environment},
        )
        started.append(Agent(process, ledger, stop))
        return started[-1]

    yield start
    for one in started:
        one.stop.write_text("over")
        with one.process:
            if one.process.poll() is None:
                one.process.kill()
        wait_until(lambda one=one: not one.guardians())


@pytest.fixture(scope="session")
def samples() -> ModuleType:
    """The table of samples: how to order each fault and how to see it from outside (samples.py)."""
    folder = str(Path(__file__).parent)
    sys.path.insert(0, folder)
    try:
        return importlib.import_module("samples")
    finally:
        sys.path.remove(folder)


@pytest.fixture
def as_nobody() -> Callable[[Callable[[], object]], str]:
    """Call a function in a process of a user who may do nothing; return its result, or its error, as text."""

    def call(function: Callable[[], object]) -> str:
        read_fd, write_fd = os.pipe()
        child = os.fork()
        if child == 0:
            os.setresuid(65534, 65534, 65534)
            try:
                words = str(function())
            except FaultError as error:
                words = f"FaultError: {error}"
            os.write(write_fd, words.encode())
            os._exit(0)
        os.close(write_fd)
        with os.fdopen(read_fd) as said:
            words = said.read()
        assert os.waitpid(child, 0)[1] == 0
        return words

    return call


@pytest.fixture
def make_order() -> Callable[..., FaultOrder]:
    """Make an order, by default for a pause of half a minute."""

    def make(
        match: Match | None,
        *,
        fault: str = "pause-process",
        for_s: float = 30.0,
        limit_s: float = 60.0,
        options: dict[str, object] | None = None,
        rules: HostRules = HostRules(),  # noqa: B008  # frozen
        aim: Aim | None = None,
    ) -> FaultOrder:
        return FaultOrder(
            attempt="phase/hang.1",
            name="hang",
            fault=fault,
            options=options or {},
            match=match,
            for_s=for_s,
            limit_s=limit_s,
            rules=rules,
            aim=aim,
        )

    return make


@pytest.fixture
def pinned(tmp_path: Path) -> Callable[[int], Match]:
    """Match exactly one pid."""

    def make(pid: int) -> Match:
        path = tmp_path / f"{pid}.pid"
        path.write_text(f"{pid}\n")
        return Match(pidfile=str(path))

    return make
