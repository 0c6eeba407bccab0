"""What is said to a proxy of ours over its control socket, and how: a line of JSON each way.

Each proxy has a folder in its worker's home, by its port, which only the worker's user may enter. Whoever
reverts a fault finds the proxy by the port alone, so nothing here needs the process that began it.
"""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from workers.chaos.contract import ProcessId, Scene
from workers.chaos.processes import is_alive
from workers.contract.errors import FaultError

CONTROL = "control"
"""The socket's name in the proxy's folder."""
CARD = "proxy.json"
"""File of a `Standing`, written once the proxy listens."""
ANSWERS_WITHIN_S = 1.0
MOST_LINE_BYTES = 1024 * 1024
_FOLDER = "proxies"

Direction = Literal["both", "up", "down"]
Speech = Literal["", "http", "redis"]
Answer = Literal["", "status", "empty", "stale", "slow", "wrong"]


class ProxyAwayError(FaultError):
    """No proxy of ours answers there; `lives`: its process does, so it may still hold a fault."""

    def __init__(self, message: str, *, lives: bool) -> None:
        super().__init__(message)
        self.lives = lives


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What a proxy does to what passes, from now until it is cleared, at the latest at `until_s` (boot time).

    `key`: of the fault that it belongs to. `share`: of connections, of requests where it `answer`s; which,
    `seed` decides. `direction`: up is what clients send, down what they are sent. `latency_s` and `jitter_s`
    are of a round trip; `rate_bytes_per_s` is that of each direction, over all connections. None and 0 mean
    that nothing of the kind is done. `answer`: instead of, or with, what the upstream says, in the language
    `speaks`; `status` and `body` of one in its place.
    """

    key: str
    until_s: float
    seed: int = 0
    share: float = 1.0
    direction: Direction = "both"
    latency_s: float = 0.0
    jitter_s: float = 0.0
    rate_bytes_per_s: float = 0.0
    slice_bytes: int = 0
    slice_gap_s: float = 0.0
    reset_after_s: float | None = None
    reset_after_bytes: int | None = None
    truncate_after_bytes: int | None = None
    blackhole: bool = False
    refuse: bool = False
    speaks: Speech = ""
    answer: Answer = ""
    status: int = 0
    body: str = ""


class Counts(msgspec.Struct):
    """What an effect has done so far.

    `passed`: connections there were meanwhile (requests, where it answers); `chosen`: of them, by its share;
    `touched`: chosen ones that it did something to, or waits to (a reset after so many bytes).
    """

    passed: int = 0
    chosen: int = 0
    touched: int = 0


class Inject(msgspec.Struct, frozen=True, tag="inject"):
    """Hold this effect; refused while another one is held."""

    effect: Effect


class Clear(msgspec.Struct, frozen=True, tag="clear"):
    """Let go of the effect with this key; nothing where it is not held."""

    key: str


class Look(msgspec.Struct, frozen=True, tag="look"):
    """Say how things stand."""


class Keep(msgspec.Struct, frozen=True, tag="keep"):
    """A worker holds this proxy: it stands for `for_s` more, whatever becomes of that worker.

    `speaks`: what answers are remembered of, "" none.
    """

    worker: str
    for_s: float
    speaks: Speech = ""


class End(msgspec.Struct, frozen=True, tag="end"):
    """Stop listening and exit; connections are closed."""


Command = Inject | Clear | Look | Keep | End


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A proxy as it says of itself: where it listens, where to, who keeps it, what it holds.

    `open`: connections now; `total`: since it stands. `held`: key of its effect, "" while it passes through;
    `counts`: of that one, or of the last, whose key is `counted`. `remembered`: how many answers. `wrong`:
    why a command was not obeyed.
    """

    who: ProcessId
    bind: str
    port: int
    upstream: str
    worker: str = ""
    speaks: Speech = ""
    open: int = 0
    total: int = 0
    held: str = ""
    counts: Counts = msgspec.field(default_factory=Counts)
    counted: str = ""
    remembered: int = 0
    wrong: str = ""


def folder_of(home: Path, port: int) -> Path:
    """Where the proxy that listens on a port has its files."""
    return home / _FOLDER / str(port)


def folders(home: Path) -> list[Path]:
    """Those of all proxies that this home knows of."""
    return sorted(path for path in (home / _FOLDER).glob("*") if path.name.isdecimal())


def home_of(scene: Scene) -> Path:
    """The home of the worker that a fault is done by; its ledger is there."""
    return Path(scene.rules.home) if scene.rules.home else Path(scene.folder).parent.parent


def ask(folder: Path, command: Command, *, within_s: float = ANSWERS_WITHIN_S) -> Standing:
    """Say something to the proxy there; what it answers. Raises ProxyAwayError."""
    import socket  # noqa: PLC0415  # a guardian that has nothing to do with proxies starts without it

    try:
        here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        raise ProxyAwayError(f"no proxy stands on port {folder.name} here", lives=False) from None
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(within_s)
            line.connect(f"/proc/self/fd/{here}/{CONTROL}")  # the folder's own path may be too long for one
            line.sendall(msgspec.json.encode(command) + b"\n")
            return msgspec.json.decode(_line(line, within_s), type=Standing)
    except (OSError, msgspec.DecodeError) as error:
        lives = is_standing(folder)
        how = f"does not answer: {error}" if lives else "has ended"
        raise ProxyAwayError(f"the proxy on port {folder.name} {how}", lives=lives) from error
    finally:
        os.close(here)


def card(folder: Path) -> Standing | None:
    """Who stood there last, as it said when it began; None where nobody did."""
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode((folder / CARD).read_bytes(), type=Standing)
    return None


def is_standing(folder: Path) -> bool:
    """Whether the process of the proxy there lives, whatever it answers."""
    found = card(folder)
    return found is not None and is_alive(found.who)


def _line(line: "object", within_s: float) -> bytes:
    """Read to the end of the line, within the time."""
    until_s = time.monotonic() + within_s
    found = b""
    while not found.endswith(b"\n"):
        if time.monotonic() > until_s or len(found) > MOST_LINE_BYTES:
            raise TimeoutError("no whole answer in time")
        more: bytes = line.recv(65536)  # type: ignore[attr-defined]  # a socket, imported lazily
        if not more:
            break
        found += more
    return found
