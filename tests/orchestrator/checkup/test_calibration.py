import platform
from importlib import metadata

import msgspec
import pytest

from orchestrator.checkup.calibration import Known, finding, known, limits, words
from workers.contract.calibration import Calibration, keep
from workers.host import cpu_model

ONE = Calibration(
    requests_per_s=5243.0,
    streams=1410,
    requests_limited_by="the engine's core (p99 of lateness 12 ms at 7,447/s)",
    streams_limited_by="nothing: the highest rate tried was kept",
    at="2026-11-22T10:00:00+00:00",
    version="0.1.0",
    cpu="AMD EPYC 9454",
    python="3.11.2",
    cores=8,
)


@pytest.fixture
def kept_at(tmp_path, monkeypatch):
    """Where this test's host would have its calibration."""
    path = tmp_path / "calibration.json"
    monkeypatch.setenv("SHAKEOUT_CALIBRATION", str(path))
    return path


def test_a_host_that_was_never_calibrated_is_fine_and_says_how(kept_at):
    found = finding(known())
    assert known() == Known(path=str(kept_at))
    assert (found.level, found.area, found.check) == ("ok", "host", "calibration")
    assert "shakeout doctor --calibrate" in found.what


def test_what_was_measured_on_another_host_is_a_warning_with_what_to_do(kept_at):
    keep(ONE, kept_at)
    found = finding(known())
    assert found.level == "warning"
    assert "cpu AMD EPYC 9454, here" in found.what
    assert found.do == "run `shakeout doctor --calibrate`"


def test_what_was_measured_here_is_told(kept_at):
    one = msgspec.structs.replace(
        ONE, version=metadata.version("shakeout"), python=platform.python_version(), cpu=cpu_model()
    )
    keep(one, kept_at)
    assert known().calibration == one
    assert finding(known()).what == words(one)
    assert words(one).startswith("one engine keeps up with 5,243 requests/s or 1,410 streams at once (p99 of")


def test_what_was_measured_while_others_used_the_host_is_to_be_measured_again():
    found = finding(Known(msgspec.structs.replace(ONE, disturbed=True)))
    assert found.level == "warning"
    assert "others used this host meanwhile" in found.what
    assert found.do.endswith("when this host is quiet")


def test_a_file_that_cannot_be_read_is_a_warning(kept_at):
    kept_at.write_text("{")
    assert "is no calibration" in finding(known()).what


def test_a_fresh_calibration_says_what_limited_it():
    requests, streams, hosts = limits(ONE)
    assert requests.endswith("limited by the engine's core (p99 of lateness 12 ms at 7,447/s)")
    assert streams.startswith("and with 1,410 streams of 20 tokens/s at once; limited by nothing")
    assert hosts.startswith("8 cores here")
