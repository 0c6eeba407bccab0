"""`python -m workers.calibrate`: measure this host, keep the result; progress on stderr, result on stdout.

For requests, then for streams: a climb until steps are not kept, then a longer hold at the highest that was,
and lower until one holds. `--show` measures nothing. Exit codes: 0 measured, 1 not measured, 2 usage.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import msgspec

from workers import host, parent
from workers.calibrate.climb import Seen, Step, is_disturbed, limited_by, steps
from workers.calibrate.trial import IN_A_ROW, Ground, Heard, climbed, ground
from workers.contract.calibration import Calibration, CalibrationError, differs, keep, recall, where_kept
from workers.contract.errors import ShakeoutWorkerError

LOWER = 0.85
"""A rate that did not hold is tried again at so much of it."""
MOST_HOLDS = 4
FIRST = {"requests": 800.0, "streams": 80.0}
MOST = {"requests": 60_000.0, "streams": 8_000.0}


@dataclass(frozen=True, slots=True)
class Pace:
    """How long steps are, in whole seconds. `settle_s` of each is not looked at."""

    factor: float
    step_s: int
    settle_s: int
    hold_s: int


FULL = Pace(factor=1.4, step_s=2, settle_s=1, hold_s=6)
QUICK = Pace(factor=1.6, step_s=2, settle_s=1, hold_s=3)


@dataclass(frozen=True, slots=True)
class Found:
    """The highest rate that held, and what ended the climb; 0 where not even the first step did."""

    per_s: float
    limit: str
    disturbed: bool


def main(argv: list[str], environment: Mapping[str, str] = os.environ) -> int:
    """Measure, keep, print."""
    flags = _flags().parse_args(argv)
    wanted, pid = parent.asked(argv)
    if wanted and not parent.bind(pid):
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    pace = QUICK if flags.quick else FULL
    path = Path(flags.keep) if flags.keep else where_kept(environment)
    if flags.show:
        return _show(path)
    try:
        with tempfile.TemporaryDirectory(prefix="shakeout-calibrate-") as folder, ground(Path(folder)) as on:
            found = {kind: measured(kind, on, pace=pace) for kind in FIRST}
        result = _calibration(found)
        keep(result, path)
    except KeyboardInterrupt:
        return 1
    except (ShakeoutWorkerError, CalibrationError) as error:
        sys.stderr.write(f"calibrate: {error}\n")
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
    return 0


def _show(path: Path) -> int:
    """Print what is known of this host: `calibration`, or why it does not count as `uncalibrated`."""
    try:
        found = recall(path)
    except CalibrationError as error:
        why = str(error)
        found = None
    else:
        why = _differs(found) if found is not None else ""
    known = {"calibration": None if why else found, "uncalibrated": why, "path": str(path)}
    sys.stdout.buffer.write(msgspec.json.encode(known) + b"\n")
    return 0


def _differs(found: Calibration) -> str:
    here = metadata.version("shakeout"), host.cpu_model(), host.python_version()
    return differs(found, version=here[0], cpu=here[1], python=here[2])


def measured(kind: str, on: Ground, *, pace: Pace) -> Found:
    """Climb, then hold. Raises EngineError."""
    climb = steps(
        first=FIRST[kind], factor=pace.factor, most=MOST[kind], step_s=pace.step_s, settle_s=pace.settle_s
    )
    _tell(f"{kind}: from {climb[0].per_s:,.0f}/s up, {pace.step_s} s each")
    judged, heard = climbed(kind, climb, on, tell=_tell_step)
    # the first of those at the end that were not kept
    broken = None if judged[-1].kept else judged[max(-IN_A_ROW, -len(judged))]
    limit, disturbed = _why(broken, heard)
    kept = [seen.step.per_s for seen in judged if seen.kept]
    per_s = kept[-1] if kept else climb[0].per_s * LOWER
    for _ in range(MOST_HOLDS):
        _tell(f"{kind}: {per_s:,.0f}/s for {pace.hold_s} s")
        held, heard = climbed(kind, (Step(per_s, 0, pace.hold_s, pace.settle_s),), on, tell=_tell_step)
        if held[0].kept:
            return Found(per_s, limit, disturbed)
        limit, disturbed = _why(held[0], heard)
        per_s = round(per_s * LOWER)
    return Found(0.0, limit, disturbed)


def _why(broken: Seen | None, heard: Heard) -> tuple[str, bool]:
    """What ended a climb, in words, and whether it was others who used this host."""
    busy = {"engine_busy": heard.engine_busy, "server_busy": heard.server_busy}
    return limited_by(broken, **busy), is_disturbed(broken, **busy)


def _calibration(found: Mapping[str, Found]) -> Calibration:
    requests, streams = found["requests"], found["streams"]
    return Calibration(
        requests_per_s=requests.per_s,
        streams=int(streams.per_s),
        requests_limited_by=requests.limit,
        streams_limited_by=streams.limit,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=metadata.version("shakeout"),
        cpu=host.cpu_model(),
        python=host.python_version(),
        cores=host.cores(),
        disturbed=requests.disturbed or streams.disturbed,
    )


def _tell_step(seen: Seen) -> None:
    kept = "kept" if seen.kept else "not kept"
    lag_ms, hub_ms = seen.lag_p99_s * 1000, seen.hub_delay_p99_s * 1000
    _tell(
        f"  {seen.step.per_s:,.0f}/s {kept}: p99 lag {lag_ms:.3g} ms, hub delay {hub_ms:.3g} ms, "
        f"{seen.answered:.1%} answered"
    )


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _flags() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        prog="shakeout doctor --calibrate", description="Measure what one engine can do on this host."
    )
    flags.add_argument("--quick", action="store_true", help="half the time, coarser")
    flags.add_argument("--show", action="store_true", help="what was measured before; nothing is started")
    flags.add_argument("--keep", metavar="FILE", default="", help="where the result is kept")
    flags.add_argument(parent.FLAG, nargs="?", metavar="PID", help="die when the parent process does")
    return flags


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
