"""The GPUs asked from outside, within bounds: once in a child, or through the watcher that runs anyway."""

import os
import select
import sys
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL

import msgspec

from workers.chaos.contract import Scene
from workers.chaos.gpu.seen import Gpu, Reading
from workers.chaos.own import clean_environment
from workers.chaos.processes import boot_s
from workers.contract.errors import FaultError

ANSWERS_WITHIN_S = 15.0
"""A driver that nobody has asked for long starts its GPUs first, which takes seconds."""
MEASURED_WITHIN_S = 3.0
"""After a fault its GPUs have been asked all along; nobody waits longer for a revert to be measured."""
NEWS_WITHIN_S = 2.0
"""The watcher writes ten times a second; a reading older than this means that the driver hangs."""

_MODULE = "workers.chaos.gpu.readings"
_FILE = "gpus.json"
_BEFORE = "gpus-before.json"
_BYTES = 65536


def ask() -> Reading:
    """Ask for memory and work of all GPUs; no answer within MEASURED_WITHIN_S is trouble, not an error."""
    return _asked(within_s=MEASURED_WITHIN_S)


def _asked(*words: str, within_s: float) -> Reading:
    """The answer of a process of its own."""
    said, says = os.pipe()
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-S", "-m", _MODULE, *words],
            clean_environment(),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, says, 1),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
        )
    finally:
        os.close(says)
    try:
        answer = _heard(said, until_s=boot_s() + within_s)
    finally:
        os.close(said)
        _end(pid)
    try:
        return msgspec.json.decode(answer, type=Reading)
    except msgspec.DecodeError:
        why = "broke off" if answer else f"did not answer within {within_s:g} s, or crashed"
        return Reading(boot_s(), trouble=f"the NVIDIA driver {why}")


def able() -> Reading:
    """All GPUs of this host, where a process of ours can work on some; raise FaultError where it cannot."""
    reading = _asked("cuda", within_s=ANSWERS_WITHIN_S)
    if why := reading.trouble or reading.no_cuda:
        raise FaultError(f"unsupported here: {why}")
    if not reading.gpus or not reading.cuda:
        raise FaultError("unsupported here: the NVIDIA driver shows no GPU (is CUDA_VISIBLE_DEVICES empty?)")
    return reading


def chosen(reading: Reading, device: int | str) -> tuple[Gpu, ...]:
    """The GPUs that a fault is for: one by its index, or all that we can work on. Raises FaultError."""
    usable = [gpu for gpu in reading.gpus if gpu.bus in reading.cuda]
    if device == "all":
        return tuple(usable)
    found = tuple(gpu for gpu in usable if gpu.index == device)
    if not found:
        there = ", ".join(str(gpu.index) for gpu in usable) or "none"
        hidden = any(gpu.index == device for gpu in reading.gpus)
        why = "is hidden from this worker (CUDA_VISIBLE_DEVICES)" if hidden else "is not on this host"
        raise FaultError(f"device {device}: that GPU {why}; there are: {there}")
    return found


def keep(scene: Scene, reading: Reading) -> None:
    """Remember how it was before the fault, for whoever measures what is left."""
    (Path(scene.folder) / _BEFORE).write_bytes(msgspec.json.encode(reading))


def before(scene: Scene) -> Reading | None:
    """How it was before the fault, while the scene's folder is there."""
    return _of_file(Path(scene.folder) / _BEFORE)


def tell(folder: Path, reading: Reading) -> None:
    """The watcher's side: put the news there in one step."""
    new = folder / f".{_FILE}.new"
    new.write_bytes(msgspec.json.encode(reading))
    new.replace(folder / _FILE)


def news(scene: Scene) -> Reading:
    """What the watcher saw last; trouble where it has seen nothing, or nothing for NEWS_WITHIN_S."""
    reading = _of_file(Path(scene.folder) / _FILE)
    if reading is None:
        return Reading(boot_s(), trouble="the GPUs have not been looked at yet")
    age_s = boot_s() - reading.at_s
    if age_s > NEWS_WITHIN_S:
        return msgspec.structs.replace(
            reading, trouble=f"the NVIDIA driver has not answered for {age_s:.1f} s"
        )
    return reading


def _of_file(path: Path) -> Reading | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Reading)
    except (OSError, msgspec.DecodeError):
        return None


def _heard(said: int, *, until_s: float) -> bytes:
    """All that it says, or what came until then."""
    poll = select.poll()
    poll.register(said, select.POLLIN)
    heard = b""
    while (rest_s := until_s - boot_s()) > 0:
        if poll.poll(rest_s * 1000 + 1):
            more = os.read(said, _BYTES)
            if not more:
                return heard
            heard += more
    return b""


def _end(pid: int) -> None:
    """Kill and reap it; one that hangs in the driver cannot be killed and is left to the kernel."""
    with suppress(OSError):
        os.kill(pid, SIGKILL)
    until_s = boot_s() + 1.0
    with suppress(ChildProcessError):
        while os.waitpid(pid, os.WNOHANG) == (0, 0) and boot_s() < until_s:
            select.poll().poll(2)
