"""Brings samples from this worker's spool to the runs URL, in a thread beside everything else.

A spool file becomes one Parquet file, whose name follows from it: what is stored twice is stored once. What a
worker leaves behind its next life of the same name stores.
"""

import logging
import posixpath
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

from workers.contract.samples import DONE, OPEN
from workers.samples.files import file_name, parquet_of
from workers.samples.runs_url import StoreError, put

LOOK_EVERY_S = 0.5
AGAIN_AFTER_S = 5.0
"""Between two tries while the runs URL is away."""
KEPT_S = 7 * 24 * 3600.0
"""What could not be stored for a week is thrown away."""
_BROKEN = ".broken"

log = logging.getLogger(__name__)


class SampleStore:
    """One worker's spool; methods may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._troubles: dict[str, str] = {}
        self._rest_until_s = 0.0
        self._closing = threading.Event()
        self._look = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="samples", daemon=True)
        self._started = False

    def start(self) -> None:
        """Take over what a former life left. Nobody else may use the folder."""
        if not any(self._folder.glob(f"*{OPEN}")) and not any(self._folder.glob(f"*{DONE}")):
            return
        for path in self._folder.glob(f"*{OPEN}"):
            path.rename(path.with_suffix(DONE))
        log.info("samples of a former life are stored now")
        self._begin()

    def stem(self) -> Path:
        """A place for one more attempt's files. Raises OSError where there can be none."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._begin()
        return self._folder / uuid.uuid4().hex

    def settle(self, stem: Path, *, within_s: float) -> str:
        """Store what is left of an attempt whose engine is gone; why it was not done in time, else ""."""
        for path in self._folder.glob(f"{stem.name}-*{OPEN}"):
            path.rename(path.with_suffix(DONE))
        self._rest_until_s = 0.0
        with self._look:
            self._look.notify_all()
            self._look.wait_for(lambda: not self._left(stem), within_s)
        left = self._left(stem)
        if not left:
            return self._troubles.pop(f"{stem.name}{_BROKEN}", "")
        why = self._troubles.pop(stem.name, f"they were not written within {within_s:g} s")
        return f"{left} files of samples are still on the worker's disk: {why}"

    def close(self) -> None:
        """Stop; what is not stored yet stays for the next life."""
        self._closing.set()
        with self._look:
            self._look.notify_all()

    def _begin(self) -> None:
        with self._look:
            if not self._started:
                self._started = True
                self._thread.start()

    def _left(self, stem: Path) -> int:
        return sum(1 for _ in self._folder.glob(f"{stem.name}-*{DONE}"))

    def _run(self) -> None:
        while not self._closing.is_set():
            if time.monotonic() >= self._rest_until_s:
                self._store_all()
            with self._look:
                self._look.notify_all()
                self._look.wait(LOOK_EVERY_S)

    def _store_all(self) -> None:
        """Store what is whole, the oldest first; of a URL that does not work only one file is tried."""
        failed: Counter[str] = Counter()
        for path in sorted(self._folder.glob(f"*{DONE}"), key=_age):
            stem = path.name.rpartition("-")[0]
            if self._closing.is_set() or failed[stem]:
                continue
            try:
                _store(path)
            except StoreError as error:
                failed[stem] += 1
                if self._troubles.get(stem) != str(error):
                    log.warning("samples wait on this disk: %s", error)
                self._troubles[stem] = str(error)
                _forget_old(path)
            except (OSError, ValueError) as error:
                log.warning("samples in %s cannot be read: %s", path, error)
                self._troubles[f"{stem}{_BROKEN}"] = f"a file of samples could not be read again: {error}"
                path.unlink(missing_ok=True)
            else:
                self._troubles.pop(stem, None)
        if failed:
            self._rest_until_s = time.monotonic() + AGAIN_AFTER_S


def _store(path: Path) -> None:
    """Put one file where it belongs and remove it here. Raises StoreError, OSError, ValueError."""
    header, body, rows = parquet_of(path)
    if rows:
        put(posixpath.join(header.url, file_name(header)), body)
    path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _forget_old(path: Path) -> None:
    if time.time() - _age(path) > KEPT_S:
        log.warning("samples in %s could not be stored for a week and are thrown away", path)
        path.unlink(missing_ok=True)
