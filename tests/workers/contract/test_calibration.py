from pathlib import Path

import pytest
from msgspec import structs

from workers.contract.calibration import (
    Calibration,
    CalibrationError,
    differs,
    keep,
    recall,
    where_kept,
)

ONE = Calibration(
    requests_per_s=5243.0,
    streams=410,
    requests_limited_by="the engine's core",
    streams_limited_by="the engine's core",
    at="2026-11-22T10:00:00+00:00",
    version="0.1.0",
    cpu="AMD EPYC 9454",
    python="3.11.2",
    cores=8,
)


def test_what_was_kept_is_recalled(tmp_path):
    path = tmp_path / "deep" / "calibration.json"
    assert recall(path) is None
    keep(ONE, path)
    assert recall(path) == ONE
    assert [one.name for one in path.parent.iterdir()] == ["calibration.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"streams": 3}', "\xff"])
def test_a_file_that_is_no_calibration_says_so_and_what_to_do(tmp_path, text):
    path = tmp_path / "calibration.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(CalibrationError, match=r"calibration\.json is no calibration .*doctor --calibrate"):
        recall(path)


def test_a_place_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CalibrationError, match=r"cannot be written: .*; say where by SHAKEOUT_"):
        keep(ONE, tmp_path / "file" / "calibration.json")


@pytest.mark.parametrize("name", ["version", "cpu", "python"])
def test_another_version_processor_or_python_makes_it_worthless(name):
    here = {"version": ONE.version, "cpu": ONE.cpu, "python": ONE.python}
    assert differs(ONE, **here) == ""
    said = differs(structs.replace(ONE, **{name: "other"}), **here)
    assert said.startswith(f"calibrated with {name} other, here {here[name]}: run `shakeout doctor")


def test_it_is_kept_with_the_state_of_this_hosts_workers_unless_said_otherwise():
    assert where_kept({}) == Path.home() / ".cache" / "shakeout" / "calibration.json"
    assert where_kept({"SHAKEOUT_HOME": "/var/lib/s"}) == Path("/var/lib/s/calibration.json")
    assert where_kept({"SHAKEOUT_HOME": "/x", "SHAKEOUT_CALIBRATION": "/etc/c.json"}) == Path("/etc/c.json")
