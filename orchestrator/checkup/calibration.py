"""What one engine can do on this host: measured on request, else what was measured before."""

import os
import subprocess
import sys
from dataclasses import dataclass

import msgspec

from orchestrator.checkup.finding import Finding, Level
from orchestrator.errors import ShakeoutError
from workers.contract.calibration import Calibration, where_kept

MEASURED_WITHIN_S = 240.0
"""One to two minutes as a rule; more where rates that were kept for a moment do not hold."""
SHOWN_WITHIN_S = 20.0
_MODULE = "workers.calibrate"


class NotCalibratedError(ShakeoutError):
    """This host could not be measured; the reason stands on stderr already."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of this host; `uncalibrated`: why a measurement that there is does not count."""

    calibration: Calibration | None = None
    uncalibrated: str = ""
    path: str = ""


def calibrate(*, quick: bool) -> Calibration:
    """Measure this host and keep the result; progress goes to stderr. Raises NotCalibratedError."""
    flags = ["--quick"] if quick else []
    try:
        done = _ask(flags, within_s=MEASURED_WITHIN_S, quiet=False)
    except subprocess.TimeoutExpired as error:
        raise NotCalibratedError(
            f"not measured within {MEASURED_WITHIN_S:g} s: is this host busy?"
        ) from error
    try:
        return msgspec.json.decode(done.stdout, type=Calibration)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotCalibratedError("this host could not be measured; see above for the reason") from error


def known() -> Known:
    """What was measured before, if this host is still as it was then; never raises."""
    path = where_kept(os.environ)
    if not path.exists():
        return Known(path=str(path))
    try:
        done = _ask(["--show"], within_s=SHOWN_WITHIN_S, quiet=True)
        return msgspec.json.decode(done.stdout, type=Known)
    except subprocess.TimeoutExpired:
        return Known(uncalibrated=f"no answer from `python -m {_MODULE} --show` within {SHOWN_WITHIN_S:g} s")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Known(uncalibrated=f"`python -m {_MODULE} --show` said what cannot be read: {error}")


def finding(what: Known) -> Finding:
    """What is known as a line of the check-up."""
    if what.uncalibrated:
        return _finding("warning", what.uncalibrated, "run `shakeout doctor --calibrate`")
    if what.calibration is None:
        return _finding("ok", "not calibrated; `shakeout doctor --calibrate` measures what one engine can do")
    if what.calibration.disturbed:
        said = f"{words(what.calibration)}; others used this host meanwhile, so it may be more"
        return _finding("warning", said, "run `shakeout doctor --calibrate` when this host is quiet")
    return _finding("ok", words(what.calibration))


def words(one: Calibration) -> str:
    """A calibration in a line."""
    return (
        f"one engine keeps up with {one.requests_per_s:,.0f} requests/s or {one.streams:,} streams at once "
        f"(p99 of lag up to {one.lag_p99_s * 1000:g} ms; measured {one.at[:10]} on {one.cpu})"
    )


def limits(one: Calibration) -> tuple[str, ...]:
    """A fresh calibration in lines: what was kept up with, and what ended each climb."""
    return (
        f"one engine kept up with {one.requests_per_s:,.0f} requests/s; limited by {one.requests_limited_by}",
        f"and with {one.streams:,} streams of 20 tokens/s at once; limited by {one.streams_limited_by}",
        f"{one.cores} cores here; workers that run already show it after their next start",
    )


def _ask(flags: list[str], *, within_s: float, quiet: bool) -> "subprocess.CompletedProcess[bytes]":
    argv = [sys.executable, "-m", _MODULE, f"--die-with-parent={os.getpid()}", *flags]
    errors = subprocess.DEVNULL if quiet else None
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=errors, timeout=within_s, check=False)


def _finding(level: Level, what: str, do: str = "") -> Finding:
    return Finding(area="host", check="calibration", level=level, what=what, do=do)
