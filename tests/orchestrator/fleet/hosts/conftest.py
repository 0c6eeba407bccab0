"""A fleet on several hosts: network namespaces with a switch between them, clocks that differ, and cuts."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.local import valkey_binary
from workers.contract.signed.signing import read_keys

LAN = Path(__file__).parent / "lan.py"
WALL_CLOCK = Path(__file__).parent.parent / "wall_clock.c"
UP_WITHIN_S = 30.0
NEEDED = ("ip", "nft", "unshare", "nsenter", "setpriv", "hostname", "mount")
ADDRESSES = {
    "redis": "10.77.0.2", "target": "10.77.0.3", "ops-1": "10.77.0.4", "ops-2": "10.77.0.5",
    "w1": "10.77.0.11", "w2": "10.77.0.12", "w3": "10.77.0.13", "w4": "10.77.0.14",
}  # fmt: skip
UPTIMES_S = {"w1": 3_000_000, "w2": 40, "w3": 500_000, "target": 7_777_777, "ops-1": 90_000}
"""Beyond this machine's own: no two hosts were started at one time, so no two monotonic clocks agree."""
SLOTS = {"w1": 1, "w2": 1, "w3": 1, "w4": 5}
TARGET = "http://target.lab:8000"
OFF_S = 5
OFF_PPM = 2_000
"""Of w2's time of day: 2 ms a second, far beyond what any machine does."""
SLOW_S = -60
QUARTZ_PPM = 150
"""Of w3's quartz: three times what is usual, well below what can be steered."""
JUMP_S = 8
"""Of Redis' host: longer than every lease."""


@dataclass
class Lan:
    """The hosts; `switch` is the process whose network namespace is what lies between them."""

    switch: "subprocess.Popen[bytes]"
    first: dict[str, int]

    def inside(self, host: str) -> tuple[str, ...]:
        """Words before a command that is to run on a host."""
        pid = str(self.first[host])
        return ("nsenter", "--target", pid, "--net", "--uts", "--mount", "--pid", "--time", "--")

    def at_switch(self, *argv: str) -> str:
        words = ("nsenter", "--target", str(self.switch.pid), "--net", "--", *argv)
        return subprocess.run(words, check=True, capture_output=True, text=True, timeout=30).stdout

    def unplug(self, host: str) -> None:
        """Pull a host's cable: nothing comes or goes, and nobody is told."""
        self.at_switch("ip", "link", "set", host, "down")

    def plug(self, host: str) -> None:
        self.at_switch("ip", "link", "set", host, "up")

    def cut(self, one: str, other: str) -> None:
        """Drop all that passes between two hosts, without a word."""
        self.at_switch("nft", "add", "element", "bridge", "lab", "cut", _both_ways(one, other))

    def lose(self, one: str, other: str) -> None:
        """Drop one packet in ten between two hosts."""
        self.at_switch("nft", "add", "element", "bridge", "lab", "lossy", _both_ways(one, other))

    def heal(self) -> None:
        """All cables are plugged, and nothing is dropped."""
        for host in self.first:
            self.plug(host)
        for name in ("cut", "lossy"):
            self.at_switch("nft", "flush", "set", "bridge", "lab", name)

    def close(self) -> None:
        """End all hosts and all that runs there."""
        with self.switch:  # closes its stdin, and with that all is over; then waits
            pass


def _both_ways(one: str, other: str) -> str:
    here, there = ADDRESSES[one], ADDRESSES[other]
    return f"{{ {here} . {there}, {there} . {here} }}"


def _lan(**hosts: str) -> Lan:
    """Start so many hosts: name -> address; skips where the kernel or a missing program does not allow it."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        pytest.skip(f"hosts of one's own need {', '.join(missing)} (Debian: iproute2, nftables, util-linux)")
    if os.geteuid() != 0:
        pytest.skip("hosts of one's own need root, for network namespaces")
    told = [f"{name}={address}+{UPTIMES_S.get(name, 0)}" for name, address in hosts.items()]
    argv = ["unshare", "--net", sys.executable, str(LAN), f"--die-with-parent={os.getpid()}", *told]
    switch = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert switch.stdout is not None
    line = switch.stdout.readline()
    if not line:
        _, said = switch.communicate(timeout=UP_WITHIN_S)
        why = said.decode().strip().splitlines() or ["no reason given"]
        pytest.skip(f"this kernel gives no hosts of one's own: {why[-1]}")
    return Lan(switch, json.loads(line))


@pytest.fixture(scope="module")
def new_lan() -> Iterator[Callable[..., Lan]]:
    """Each call makes one more network: name -> address; all end with the module."""
    made: list[Lan] = []

    def make(**hosts: str) -> Lan:
        made.append(_lan(**hosts))
        return made[-1]

    yield make
    for lan in made:
        lan.close()


@dataclass
class Reached:
    """The fleet's server as this test reaches it: by a socket, whatever the network does."""

    url: str
    process: "subprocess.Popen[bytes]"

    def resume(self) -> None:
        """It never sleeps."""


@dataclass
class Lab:
    """A fleet on hosts of its own: `fleet` as tests know it, `lan` between its parts."""

    lan: Lan
    fleet: Any
    until: Callable[..., Any]
    clocks: dict[str, dict[str, str]]
    jumped: Path
    leaders: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        """The target, two coordinators and four workers, ready."""
        flags = ("--log", str(self.fleet.target_log), "--ttft", "5ms", "--gap", "1ms")
        self.spawn("target", "-m", "workers.demo_target", "--host", "0.0.0.0", "--port", "8000", *flags)
        for name, slots in SLOTS.items():
            argv = ("-m", "workers", "--name", name, "--slots", str(slots), "--label", f"on-{name}")
            self.fleet.workers[name] = self.spawn(
                name, *argv, SHAKEOUT_HOME=str(self.fleet.folder / name), **self.clocks.get(name, {})
            )
        runs = f"file://{self.fleet.folder / 'runs'}"
        for host in ("ops-1", "ops-2"):
            self.leaders[host] = self.spawn(host, "-m", "orchestrator", "coordinator", "--runs", runs)
            self.fleet.coordinators.append(self.leaders[host])
        self.until(lambda: all(self._said(one, "ready") for one in self.fleet.workers.values()), within_s=90)
        self.until(lambda: all(self._said(one, "leading", "standing by") for one in self.leaders.values()))

    def spawn(self, host: str, *argv: str, **environment: str) -> Any:
        return self.fleet.spawn(*argv, inside=self.lan.inside(host), **environment)

    def _said(self, process: Any, *words: str) -> bool:
        assert process.alive(), process.log.read_text()
        return any(process.said(one) for one in words)

    def command(self, host: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """`shakeout ...` on a host, to its end."""
        return subprocess.run(
            [*self.lan.inside(host), sys.executable, "-m", "orchestrator", *words],
            env={**os.environ, **self.fleet.environment}, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip

    def leading(self) -> str:
        """The host whose coordinator leads."""
        leader = self.fleet.leader()
        return next(host for host, process in self.leaders.items() if process is leader)

    def jump(self) -> None:
        """The time of day on Redis' host is JUMP_S ahead of what it was, from now on."""
        self.jumped.touch()

    def well(self) -> None:
        """Everything is plugged, alive and seen, and no clock is wrong that was right."""
        self.jumped.unlink(missing_ok=True)
        self.lan.heal()
        self.until(self._all_seen, within_s=60)
        self.fleet.leader()

    def _all_seen(self) -> bool:
        store = self.fleet.store
        return {card.worker for card in store.fleet(store.now_s())} == set(SLOTS)


@pytest.fixture(scope="session")
def wrong_clocks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Environment of what runs on hosts with a wrong clock."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler for wrong clocks")
    library = tmp_path_factory.mktemp("clock") / "wall_clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, WALL_CLOCK], check=True, timeout=60)
    preload = {"LD_PRELOAD": str(library)}
    up_s = round(time.clock_gettime(time.CLOCK_BOOTTIME)) + UPTIMES_S["w2"]
    drifts = {"WALL_CLOCK_PPM": str(OFF_PPM), "WALL_CLOCK_SINCE_S": str(up_s)}
    return {
        "w2": {**preload, "WALL_CLOCK_OFF_S": str(OFF_S), **drifts},
        "redis": {
            **preload,
            "WALL_CLOCK_STEP_S": str(JUMP_S),
            "WALL_CLOCK_STEP_FILE": str(library.with_name("jumped")),
        },
        "w3": {**preload, "WALL_CLOCK_OFF_S": str(SLOW_S), "STEADY_CLOCK_PPM": str(QUARTZ_PPM)},
    }


def _serve(lan: Lan, folder: Path, password: str, clock: dict[str, str]) -> Reached:
    """Valkey on its host; the password goes in by stdin."""
    socket = folder / "valkey.sock"
    process = subprocess.Popen(
        [*lan.inside("redis"), str(valkey_binary()), "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **clock},
    )
    assert process.stdin is not None
    lines = ("bind 0.0.0.0", "port 6379", f"requirepass {password}", f"unixsocket {socket}", 'save ""')
    process.stdin.write("".join(f"{line}\n" for line in lines).encode())
    process.stdin.close()
    return Reached(f"unix://:{password}@{socket}?db=0", process)


@pytest.fixture(scope="module")
def the_lab(
    new_lan: Callable[..., Lan],
    empty_fleet: Callable[..., Any],
    wrong_clocks: dict[str, dict[str, str]],
    until: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Lab]:
    """One fleet on eight hosts for all tests of a module."""
    lan = new_lan(**ADDRESSES)
    folder = tmp_path_factory.mktemp("lab")
    password, key = secrets.token_hex(8), f"ops={secrets.token_hex(32)}"
    server = _serve(lan, folder, password, wrong_clocks["redis"])
    fleet = empty_fleet(
        server, folder, read_keys(key), SHAKEOUT_BROKER=f"redis://:{password}@redis.lab:6379/0",
        SHAKEOUT_SIGNING_KEY=key, SHAKEOUT_ALLOW_TARGETS="10.77.0.0/29",
    )  # fmt: skip
    fleet.url, fleet.target_log = TARGET, folder / "target.jsonl"
    lab = Lab(lan, fleet, until, wrong_clocks, Path(wrong_clocks["redis"]["WALL_CLOCK_STEP_FILE"]))
    until((folder / "valkey.sock").exists)
    lab.start()
    yield lab
    fleet.store.client.close()
    lan.close()
    for process in (server.process, *(one.popen for one in fleet.ended)):
        with suppress(subprocess.TimeoutExpired):
            process.wait(UP_WITHIN_S)


@pytest.fixture
def lab(the_lab: Lab) -> Lab:
    """The fleet on its hosts, all of it well."""
    the_lab.well()
    return the_lab
