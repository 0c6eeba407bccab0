"""What Flower's task list shows of a running attempt: share done, rate and p99, once a second.

A thread of its own says only the latest words, for an event may block while Redis hangs.
"""

import logging
import threading
from collections.abc import Callable

from workers.contract.sketch import from_wire, merge_all
from workers.contract.snapshot import JUDGED, WARMUP, Snapshot
from workers.contract.spec import LoadSpec, RegressionSpec

SAY_EVERY_S = 1.0

log = logging.getLogger(__name__)


class Progress:
    """The latest words of each running task. `send` takes a task's id and words; what it raises is logged."""

    def __init__(self, send: Callable[[str, str], None]) -> None:
        self._send = send
        self._latest: dict[str, str] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def start(self) -> None:
        """Begin to say."""
        self._thread.start()

    def close(self) -> None:
        """Stop; what is unsaid stays so."""
        self._closing.set()

    def show(self, task_id: str, words: str) -> None:
        """Replace the task's words; never blocks."""
        with self._lock:
            self._latest[task_id] = words

    def _run(self) -> None:
        while not self._closing.wait(SAY_EVERY_S):
            with self._lock:
                due, self._latest = self._latest, {}
            for task_id, words in due.items():
                try:
                    self._send(task_id, words)
                except Exception as error:  # noqa: BLE001  # kombu raises whatever its transport does
                    log.debug("progress not said: %s", error)


def words(snapshot: Snapshot, spec: LoadSpec | RegressionSpec, *, phase_s: float) -> str:
    """A line on this second, e.g. `40% · 812 req/s · p99 34 ms`; 40% of the time is over at `phase_s`."""
    parts = [f"{snapshot.sent} req/s"]
    if isinstance(spec, LoadSpec):
        share = phase_s / spec.arrivals.duration_s
        parts.insert(0, f"{min(100, max(0, round(100 * share)))}%")
    wires = [cell.sketches.get("latency") for cell in snapshot.cells if cell.group in (JUDGED, WARMUP)]
    latency = merge_all(from_wire(wire) for wire in wires if wire is not None)
    if latency.count:
        parts.append(f"p99 {latency.quantile(0.99) * 1000:.0f} ms")
    return " · ".join(parts)
