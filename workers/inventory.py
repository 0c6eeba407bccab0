"""What this machine is: the card that a worker shows to the fleet, its GPUs looked at again now and then."""

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata

import msgspec

from workers import host, parent
from workers.clock import CommonClock
from workers.contract.calibration import Calibration, CalibrationError, differs, recall
from workers.contract.facts import WorkerCard
from workers.contract.signed.trust import SECRET_VARIABLES
from workers.gpus import NOT_THERE, Devices
from workers.settings import Settings

FIRST_WITHIN_S = 3.0
"""How long a starting worker waits for its GPUs to be known; then it shows what it is without them."""
ANSWER_WITHIN_S = 15.0
"""A driver that keeps nothing loaded takes about a second a GPU; one that is silent longer hangs."""
AGAIN_S = 60.0
"""A GPU that fell off the bus is on the card for so long at most, plus the card's own second."""
AGAIN_WITHOUT_DRIVER_S = 300.0
_GONE_WITHIN_S = 1.0
NOT_YET = Devices(driver="the driver has not answered yet")

log = logging.getLogger(__name__)


def blank_card(settings: Settings, incarnation: str) -> WorkerCard:
    """The card of this life of the worker; its clock, GPUs and `seen_s` are filled in by `shown`."""
    calibration, uncalibrated = calibrated(settings)
    return WorkerCard(
        worker=settings.name,
        incarnation=incarnation,
        host=socket.gethostname(),
        version=metadata.version("shakeout"),
        slots=settings.slots,
        labels=settings.labels,
        kernel=host.kernel(),
        cpu=host.cpu_model(),
        python=host.python_version(),
        pid=os.getpid(),
        cores=host.cores(),
        memory_bytes=host.memory_bytes(),
        calibration=calibration,
        uncalibrated=uncalibrated,
        addresses=host.addresses(),
        target_limits=dict(settings.target_limits),
    )


def calibrated(settings: Settings) -> tuple[Calibration | None, str]:
    """What this host was measured to do, if it was measured as it is now; else why that does not count."""
    try:
        found = recall(settings.calibration) if settings.calibration is not None else None
    except CalibrationError as error:
        log.warning("%s", error)
        return None, str(error)
    if found is None:
        return None, ""
    why = differs(
        found, version=metadata.version("shakeout"), cpu=host.cpu_model(), python=host.python_version()
    )
    if why:
        log.warning("the calibration of this host is left out: %s", why)
    return (None, why) if why else (found, "")


def shown(card: WorkerCard, clock: CommonClock, *, draining: bool, devices: Devices) -> WorkerCard:
    """The card as of now."""
    reading = clock.reading()
    return msgspec.structs.replace(
        card,
        offset_s=time.monotonic() + reading.offset_s - time.time(),
        uncertainty_s=reading.uncertainty_s,
        draining=draining,
        gpus=devices.gpus,
        driver=devices.driver,
        seen_s=clock.now(),
    )


class GpuWatch:
    """Asks for the GPUs, in a child process each time, on a thread of its own: the driver may block or crash.

    `environment`: of the children; what is secret in it stays here.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        answer_within_s: float = ANSWER_WITHIN_S,
        again_s: float = AGAIN_S,
    ) -> None:
        self._environment = {
            name: value for name, value in environment.items() if name not in SECRET_VARIABLES
        }
        self._answer_within_s, self._again_s = answer_within_s, again_s
        self._devices = NOT_YET
        self._answered = threading.Event()
        self._closing = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        # lives as long as the process: the children's parent-death signal is tied to the thread
        self._thread = threading.Thread(target=self._run, name="gpus", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def wait(self, timeout_s: float = FIRST_WITHIN_S) -> bool:
        """Whether there has been an answer, also one that is bad; waits for it so long."""
        return self._answered.wait(timeout_s)

    def devices(self) -> Devices:
        """What was answered last."""
        return self._devices

    def close(self) -> None:
        """Ask no more; a question on its way is given up."""
        self._closing.set()
        child = self._child
        if child is not None:
            child.kill()
        if self._thread.is_alive():
            self._thread.join(2 * _GONE_WITHIN_S)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._take(self._ask())
            driven = self._devices.driver != NOT_THERE
            self._closing.wait(self._again_s if driven else max(self._again_s, AGAIN_WITHOUT_DRIVER_S))

    def _take(self, devices: Devices) -> None:
        before, self._devices = self._devices, devices
        if before not in (NOT_YET, devices) and not self._closing.is_set():
            log.warning("GPUs: %s; before: %s", _words(devices), _words(before))
        self._answered.set()

    def _ask(self) -> Devices:
        """Ask once, within bounds. A child that cannot even be killed is left, and no second one joins it."""
        if self._child is not None and self._child.poll() is None:
            return Devices(driver=f"driver hangs: process {self._child.pid}, which asks it, cannot be ended")
        argv = [sys.executable, "-m", "workers.gpus", f"{parent.FLAG}={os.getpid()}"]
        try:
            self._child = child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._environment,
            )
            if self._closing.is_set():  # `close` may not have seen this child
                child.kill()
        except OSError as error:
            return Devices(driver=f"not known: no process could be started to ask ({error})")
        try:
            answer, _ = child.communicate(timeout=self._answer_within_s)
        except subprocess.TimeoutExpired:
            child.kill()
            with suppress(subprocess.TimeoutExpired):
                child.wait(_GONE_WITHIN_S)
            return Devices(driver=f"driver hangs: no answer within {self._answer_within_s:g} s")
        finally:
            assert child.stdout is not None  # noqa: S101  # asked for above
            child.stdout.close()
        return _read(answer, code=child.returncode)


def _read(answer: bytes, *, code: int) -> Devices:
    if code < 0:
        return Devices(driver=f"driver broken: asking it ended with signal {-code}")
    try:
        return msgspec.json.decode(answer, type=Devices)
    except msgspec.DecodeError:
        return Devices(driver=f"driver broken: asking it ended with code {code} and no answer")


def _words(devices: Devices) -> str:
    count = sum(len(one.usable) for one in devices.gpus)
    return f"{count} ({devices.driver})"
