"""Processes of our own on GPUs, as their faults see them: the watcher first, then whoever does the work."""

import time
from collections.abc import Sequence
from pathlib import Path

from workers.chaos import own
from workers.chaos.contract import ProcessId, Scene
from workers.chaos.gpu import asking
from workers.chaos.gpu.seen import Gpu, Reading
from workers.chaos.processes import alive, boot_s, is_alive

GONE_WITHIN_S = 3.0
"""A driver takes back a hundred GiB in a second or so, while the process that held it ends."""
BACK_TOLERANCE_BYTES = 64 << 20
"""Where the driver names no processes: how much more than before may be in use when all is back."""

_WATCH = "workers.chaos.gpu.watch"
_LOOKS_EVERY_S = 0.005


def start(module: str, arguments: Sequence[str], *, scene: Scene) -> tuple[own.Own, ...]:
    """Start the watcher and one process of ours; raises FaultError, and leaves neither, where one cannot."""
    watcher = own.start(_WATCH, [scene.folder], scene=scene)
    try:
        return watcher, own.start(module, arguments, scene=scene)
    except BaseException:
        own.end([watcher.who])
        watcher.let_go()
        raise


def working(scene: Scene) -> tuple[ProcessId, ...]:
    """Those that do the work."""
    return scene.own[1:]


def held_bytes(gpu: Gpu, scene: Scene) -> int | None:
    """What ours hold there by the driver's account; None where it does not name them (most containers)."""
    return sum(_named(scene, gpu).values()) or None


def ended(scene: Scene) -> str:
    """Say why one of ours has ended, in its last words; empty while all run."""
    if len(alive(working(scene))) == len(working(scene)):
        return ""
    log = Path(scene.folder) / "own.log"
    words = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return f"our process on the GPU has ended: {words[-1] if words else 'it was killed'}"


def stop(scene: Scene) -> Reading | None:
    """End those that do the work and wait until they and their memory are gone.

    Returns how the watcher sees the GPUs then; None where it cannot tell in time, or has ended too.
    """
    ours, last, first = working(scene), asking.news(scene), asking.before(scene)
    own.end(ours)
    until_s = boot_s() + GONE_WITHIN_S
    while any(is_alive(who) for who in ours) and boot_s() < until_s:
        time.sleep(_LOOKS_EVERY_S)
    gone_s = boot_s()
    named = any(_named(scene, gpu) for gpu in last.gpus)
    while scene.own and is_alive(scene.own[0]) and boot_s() < gone_s + asking.NEWS_WITHIN_S:
        seen = asking.news(scene)
        fresh = seen.at_s > gone_s and not seen.trouble and not _left(scene, seen)
        if fresh and (named or first is None or _back(seen, first)):
            return seen
        time.sleep(_LOOKS_EVERY_S)
    return None


def left_on_gpus(scene: Scene, after: Reading | None) -> str:
    """What ours still hold, in words: as seen in `after`, else asked now.

    Nothing where none was ever started in this boot of the host. Where the driver names no processes, that
    they have ended is all that can be known: other tenants' memory comes and goes.
    """
    if not scene.own:
        return ""
    seen = asking.ask() if after is None else after
    if seen.trouble:
        return f"whether GPU memory is held cannot be measured: {seen.trouble}"
    return _left(scene, seen)


def _left(scene: Scene, seen: Reading) -> str:
    found = [
        f"process {pid} still holds {size >> 20} MiB of {gpu}"
        for gpu in seen.gpus
        for pid, size in _named(scene, gpu).items()
    ]
    return "; ".join(found)


def _named(scene: Scene, gpu: Gpu) -> dict[int, int]:
    """Memory of ours on a GPU, by process id, where the driver names them."""
    return {who.pid: gpu.held[who.pid] for who in working(scene) if who.pid in gpu.held}


def _back(seen: Reading, first: Reading) -> bool:
    """Whether no GPU has more in use than at first."""
    used = {gpu.bus: gpu.used_bytes for gpu in first.gpus}
    return all(gpu.used_bytes <= used.get(gpu.bus, 0) + BACK_TOLERANCE_BYTES for gpu in seen.gpus)
