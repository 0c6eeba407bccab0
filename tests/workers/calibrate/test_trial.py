"""One real engine against the real server: what it is asked for is answered, and told of step by step."""

import json
import os
import subprocess
import sys

import pytest

from workers.calibrate.climb import Step
from workers.calibrate.trial import climbed, ground
from workers.contract.calibration import recall
from workers.host import cpu_model

WITHIN_S = 60.0
ANSWERED = 0.99


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    with ground(tmp_path_factory.mktemp("calibrate")) as on:
        yield on


@pytest.mark.parametrize(("kind", "per_s"), [("requests", 200.0), ("streams", 20.0)])
def test_an_engine_climbs_and_every_arrival_is_answered(trials, kind, per_s):
    told = []
    judged, heard = climbed(
        kind, (Step(per_s, 0, 1), Step(per_s * 2, 1, 3, settle_s=1)), trials, tell=told.append
    )
    assert told == judged
    assert judged[0].answered >= ANSWERED
    assert judged[0].failed == judged[0].unsent == 0
    assert all(one.lag_p99_s >= 0 for one in judged)
    assert heard.engine_busy > 0


def test_streams_are_whole_and_have_their_tokens(trials):
    _, heard = climbed("streams", (Step(20.0, 0, 1),), trials, tell=lambda _: None)
    cells = [cell for one in heard.snapshots for cell in one.cells]
    ok = sum(cell.outcomes.get("ok", 0) for cell in cells)
    assert ok > 0
    assert sum(cell.output_tokens for cell in cells) == 20 * ok


def test_nothing_was_measured_yet_or_with_another_python_is_told_without_measuring(tmp_path):
    path = tmp_path / "calibration.json"
    argv = [sys.executable, "-m", "workers.calibrate", "--show", f"--die-with-parent={os.getpid()}"]
    environment = {**os.environ, "SHAKEOUT_CALIBRATION": str(path)}

    def show():
        done = subprocess.run(argv, env=environment, capture_output=True, timeout=WITHIN_S, check=True)
        return json.loads(done.stdout)

    assert show() == {"calibration": None, "uncalibrated": "", "path": str(path)}
    old = {
        "requests_per_s": 1.0, "streams": 1, "requests_limited_by": "", "streams_limited_by": "", "at": "",
        "version": "0", "cpu": cpu_model(), "python": "2.7", "cores": 1,
    }  # fmt: skip
    path.write_text(json.dumps(old))
    assert recall(path) is not None
    said = show()
    assert said["calibration"] is None
    assert "calibrated with version 0" in said["uncalibrated"]
    assert "python 2.7" in said["uncalibrated"]
