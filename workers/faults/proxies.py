"""The proxies of this worker: those that its operator asks for, those that campaigns need while they live.

Each is a process that outlives its worker, so that what connects through it is not cut off when the worker
dies: the next life finds it by its folder and keeps it. It ends when its campaign has, when the worker that
stood it leaves, or when no worker has kept it for KEEP_S.
"""

import ctypes
import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import Literal

import msgspec

from workers.chaos.contract import ProcessId
from workers.chaos.network.proxy_wire import (
    End,
    Keep,
    Look,
    ProxyAwayError,
    Speech,
    Standing,
    ask,
    card,
    folder_of,
    folders,
    is_standing,
)
from workers.chaos.own import clean_environment
from workers.chaos.processes import is_alive, look, send
from workers.contract.errors import FaultError, ShakeoutWorkerError
from workers.contract.proxies import ProxyShown, ProxyWant
from workers.proxy.__main__ import ORDER, READY, ProxyOrder

KEEP_S = 600.0
"""How long a proxy stands without a worker: a worker that is put on another version is back by then."""
STARTS_WITHIN_S = 15.0
ENDS_WITHIN_S = 3.0
LOOK_EVERY_S = 1.0
GONE_AFTER_LOOKS = 60
"""A campaign that Redis does not know for so many looks is over; after a failover its leader puts it back."""
_ASKS_AGAIN_AFTER_S = 0.05
_PURPOSE = "for.json"
_PR_GET_PDEATHSIG = 2
_WORDS_BYTES = 4096

log = logging.getLogger(__name__)
Fate = Literal["live", "over", "unknown", "away"]
"""What Redis says of a campaign: nothing at all (unknown), or it is not there to be asked (away)."""


class ProxyError(ShakeoutWorkerError):
    """A proxy does not stand; `refused`: and never will as things are; `slow`: it is there, and may yet."""

    def __init__(self, message: str, *, refused: bool = False, slow: bool = False) -> None:
        super().__init__(message)
        self.refused, self.slow = refused, slow


class _Purpose(msgspec.Struct, frozen=True):
    """For which campaign a proxy stands, on disk for the next life; "" for as long as its worker."""

    campaign: str
    want: ProxyWant


@dataclass(slots=True)
class _Wanted:
    """One proxy of this worker: why it does not stand, how often its campaign was not found in Redis."""

    campaign: str
    want: ProxyWant
    why: str = "it is being started"
    refused: bool = False
    missed: int = 0
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)


class Proxies:
    """Owner of this worker's proxies; one thread sees to it that each stands while it is wanted.

    `own`: those of `--proxy`. `fate`: of a campaign. `changed`: called when what is shown has changed.
    """

    def __init__(
        self,
        home: Path,
        *,
        worker: str,
        allow_targets: Sequence[str],
        own: Sequence[ProxyWant] = (),
        fate: Callable[[str], Fate],
    ) -> None:
        self._home, self._worker, self._allow = home, worker, tuple(allow_targets)
        self._own, self._fate = tuple(own), fate
        self.changed: Callable[[], None] = lambda: None
        self._wanted: dict[int, _Wanted] = {}
        self._lock = threading.Lock()
        self._wake, self._closing = threading.Event(), threading.Event()
        self._ends_with = _parent()
        self._thread = threading.Thread(target=self._run, name="proxies", daemon=True)

    def start(self) -> None:
        """Find what former lives left, stand our own. Raises ProxyError where one of those cannot stand."""
        for folder in folders(self._home):
            self._adopt(folder)
        for want in self._own:
            wanted = self._wanted.get(want.port)
            if wanted is not None and (wanted.want != want or wanted.campaign):
                self._end(wanted)
            self._wanted[want.port] = wanted = _Wanted("", want)
            self._stand_at_last(wanted)
        self._thread.start()
        self.changed()

    def stand(self, campaign: str, wants: Iterable[ProxyWant]) -> None:
        """A campaign needs these from now on; the same again changes nothing."""
        with self._lock:
            for want in wants:
                found = self._wanted.get(want.port)
                if found is None:
                    self._wanted[want.port] = _Wanted(campaign, want)
                elif not found.campaign and found.want.upstream == want.upstream:
                    found.want = msgspec.structs.replace(found.want, speaks=want.speaks or found.want.speaks)
                elif (found.campaign, found.want) != (campaign, want):
                    log.warning("%s of campaign %s: the port is in use", want.words(), campaign)
        self._wake.set()

    def shown(self) -> tuple[ProxyShown, ...]:
        """As they stand, for the worker's card."""
        with self._lock:
            return tuple(
                ProxyShown(
                    port=one.want.port,
                    upstream=one.want.upstream,
                    bind=one.want.bind,
                    speaks=one.want.speaks,
                    campaign=one.campaign,
                    why=one.why,
                    refused=one.refused,
                )
                for one in self._wanted.values()
            )

    def close(self) -> None:
        """End those that stand as long as the worker, and those whose campaign is over; leave the others."""
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(STARTS_WITHIN_S + ENDS_WITHIN_S)
        for wanted in list(self._wanted.values()):
            if not wanted.campaign or self._fate(wanted.campaign) == "over":
                self._end(wanted)

    def _run(self) -> None:
        while not self._closing.is_set():
            for wanted in list(self._wanted.values()):
                self._see_to(wanted)
            self._wake.wait(LOOK_EVERY_S)
            self._wake.clear()

    def _see_to(self, wanted: _Wanted) -> None:
        """One look: end it with its campaign, else keep it, else stand it."""
        before = (wanted.why, wanted.refused)
        if wanted.campaign and self._is_over(wanted):
            self._end(wanted)
            with self._lock:
                self._wanted.pop(wanted.want.port, None)
            self.changed()
            return
        if wanted.refused:
            return
        try:
            self._stand(wanted)
        except ProxyError as error:
            wanted.why, wanted.refused = str(error), error.refused
        except OSError as error:  # this host has no room for it
            wanted.why, wanted.refused = str(error), False
        if (wanted.why, wanted.refused) != before:
            if wanted.why:
                log.warning("%s does not stand: %s", wanted.want.words(), wanted.why)
            self.changed()

    def _is_over(self, wanted: _Wanted) -> bool:
        fate = self._fate(wanted.campaign)
        wanted.missed = wanted.missed + 1 if fate == "unknown" else 0
        return fate == "over" or wanted.missed >= GONE_AFTER_LOOKS

    def _stand_at_last(self, wanted: _Wanted) -> None:
        """As `_stand`, but one that is there and slow to answer is asked again for a while."""
        until_s = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                return self._stand(wanted)
            except ProxyError as error:
                if not error.slow or time.monotonic() > until_s:
                    raise
                time.sleep(_ASKS_AGAIN_AFTER_S)

    def _stand(self, wanted: _Wanted) -> None:
        """See to it that it stands: keep the one that does, else start one. Raises ProxyError."""
        folder, want = folder_of(self._home, wanted.want.port), wanted.want
        _reap(wanted)
        speaks: Speech = "http" if want.speaks == "http" else "redis" if want.speaks == "redis" else ""
        try:
            standing = ask(folder, Keep(self._worker, KEEP_S, speaks))
        except ProxyAwayError as error:
            if error.lives:
                raise ProxyError(str(error), slow=True) from error
            self._note(wanted, folder)  # first: a worker killed in between would leave it to nobody
            wanted.process = self._begin(want, folder, speaks)
            standing = _seen(folder)
        if (standing.upstream, standing.bind) != (want.upstream, want.bind):
            raise ProxyError(
                f"port {want.port} is taken by a proxy on {standing.bind} to {standing.upstream}"
            )
        self._note(wanted, folder)
        wanted.why = ""

    def _note(self, wanted: _Wanted, folder: Path) -> None:
        """Say on disk for which campaign it stands."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        purpose = msgspec.json.encode(_Purpose(wanted.campaign, wanted.want))
        if not (folder / _PURPOSE).exists() or (folder / _PURPOSE).read_bytes() != purpose:
            half = folder / f"{_PURPOSE}.tmp"
            half.write_bytes(purpose)
            half.replace(folder / _PURPOSE)

    def _begin(self, want: ProxyWant, folder: Path, speaks: Speech) -> "subprocess.Popen[bytes]":
        """Start the process, and wait until it listens. Raises ProxyError."""
        # who asked for it on the command line of this worker allowed it
        allow = (*self._allow, want.upstream) if want in self._own else self._allow
        order = ProxyOrder(
            bind=want.bind,
            port=want.port,
            upstream=want.upstream,
            allow_targets=allow,
            trusted=want in self._own,
            worker=self._worker,
            keep_s=KEEP_S,
            speaks=speaks,
            ends_with=self._ends_with,
        )
        (folder / ORDER).write_bytes(msgspec.json.encode(order))
        argv = [sys.executable, "-P", "-S", "-m", "workers.proxy", str(folder)]
        with (folder / "log").open("ab") as said:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                env=clean_environment(),
                start_new_session=True,
                cwd="/",
            )
        words = _first_words(process)
        if words == READY:
            return process
        process.kill()
        process.wait()
        why = words.decode(errors="replace").strip() or f"it did not start; see {folder / 'log'}"
        raise ProxyError(why, refused="allow-list" in why)

    def _adopt(self, folder: Path) -> None:
        """A proxy that a former life of this worker stood: its own again, if that life had one."""
        standing = card(folder)
        if standing is None or (standing.worker != self._worker and _worker_of(folder) != self._worker):
            return
        with suppress(OSError, msgspec.DecodeError):
            purpose = msgspec.json.decode((folder / _PURPOSE).read_bytes(), type=_Purpose)
            if is_standing(folder):
                self._wanted[purpose.want.port] = _Wanted(purpose.campaign, purpose.want)

    def _end(self, wanted: _Wanted) -> None:
        """End the process, within bounds: told to, then killed, so that no second listener is ever needed."""
        folder = folder_of(self._home, wanted.want.port)
        who = card(folder)
        with suppress(ProxyAwayError):
            ask(folder, End())
        until_s = time.monotonic() + ENDS_WITHIN_S
        while who is not None and is_alive(who.who) and time.monotonic() < until_s:
            _reap(wanted)
            time.sleep(0.01)
        if who is not None and is_alive(who.who):
            log.error("%s does not end; it is killed", wanted.want.words())
            _kill(who)
        _reap(wanted)
        for name in (_PURPOSE, f"{_PURPOSE}.tmp", ORDER, "log"):
            with suppress(OSError):
                (folder / name).unlink()
        with suppress(OSError):
            folder.rmdir()


def _parent() -> ProcessId | None:
    """Our parent, where the kernel kills us with it: then our proxies are not to outlive it either."""
    told = ctypes.c_int(0)
    if ctypes.CDLL(None).prctl(_PR_GET_PDEATHSIG, ctypes.byref(told), 0, 0, 0) != 0 or not told.value:
        return None
    parent = look(os.getppid())
    return parent.identity() if parent is not None else None


def _seen(folder: Path) -> Standing:
    """How the proxy there stands. Raises ProxyError where it has died already."""
    try:
        return ask(folder, Look())
    except ProxyAwayError as error:
        raise ProxyError(str(error), slow=error.lives) from error


def _worker_of(folder: Path) -> str:
    """Whose it is now, as the proxy itself says: another worker may have taken it over."""
    try:
        return ask(folder, Look()).worker
    except ProxyAwayError:
        return ""


def _first_words(process: "subprocess.Popen[bytes]") -> bytes:
    """What it says first; nothing where it says nothing in time."""
    assert process.stdout is not None  # noqa: S101  # asked for
    with process.stdout as said:
        readable, _, _ = select.select([said], [], [], STARTS_WITHIN_S)
        return os.read(said.fileno(), _WORDS_BYTES) if readable else b""


def _reap(wanted: _Wanted) -> None:
    if wanted.process is not None and wanted.process.poll() is not None:
        wanted.process = None


def _kill(standing: Standing) -> None:
    with suppress(FaultError):
        send(standing.who, SIGKILL)
