"""What a worker's card says of its machine, with drivers that answer, change, crash and hang."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from importlib import metadata

import msgspec
import psutil
import pytest

from workers import host
from workers.contract.calibration import Calibration, keep
from workers.inventory import NOT_YET, GpuWatch, blank_card, calibrated
from workers.settings import parse

STARTS_WITHIN_S = 5.0
"""What is promised of a worker whose driver hangs; a test waits three times as long."""


@pytest.fixture
def watch():
    """A watch over a driver; all end with the test."""
    started = []

    def make(driver, **bounds):
        one = GpuWatch({**os.environ, **driver.environment}, **bounds)
        started.append(one)
        one.start()
        return one

    yield make
    for one in started:
        one.close()


def askers():
    """Processes of this one that ask a driver."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            found += [child] if "workers.gpus" in child.cmdline() else []
        except psutil.NoSuchProcess:
            continue
    return found


def names(devices):
    return [name for gpu in devices.gpus for name in gpu.usable]


def test_a_gpu_that_falls_off_the_bus_leaves_the_card_and_is_logged(nvidia, watch, stage, caplog):
    driver = nvidia()
    one = watch(driver, again_s=0.05)
    assert one.wait(30)
    assert len(names(one.devices())) == 3
    with caplog.at_level(logging.WARNING):
        driver.behave("lost")
        stage.until(lambda: names(one.devices()) == ["NVIDIA H200"])
        stage.until(lambda: caplog.messages)
    assert caplog.messages[0] == ("GPUs: 1 (550.54.15; GPU 1 left out: GPU is lost); before: 3 (550.54.15)")


def test_a_driver_that_crashes_takes_no_worker_with_it(nvidia, watch):
    driver = nvidia()
    driver.behave("crashes")
    one = watch(driver)
    assert one.wait(30)
    assert one.devices().driver == f"driver broken: asking it ended with signal {int(signal.SIGSEGV)}"


def test_a_driver_that_hangs_is_given_up_and_asked_again(nvidia, watch, stage):
    driver = nvidia()
    driver.behave("hangs")
    one = watch(driver, answer_within_s=0.5, again_s=0.05)
    assert one.wait(30)
    assert one.devices().driver == "driver hangs: no answer within 0.5 s"
    stage.until(lambda: len(askers()) <= 1)
    driver.behave("")
    # on a slow machine half a second may be too short for an answer too: wait for one that came in time
    stage.until(lambda: len(names(one.devices())) == 3, within_s=60)


def test_a_watch_that_ends_leaves_no_process_behind(nvidia, watch, stage):
    driver = nvidia()
    driver.behave("hangs")
    one = watch(driver, answer_within_s=60.0)
    stage.until(askers)
    assert one.devices() == NOT_YET
    one.close()
    assert askers() == []


def test_a_watch_that_ends_while_its_question_is_begun_leaves_no_process_behind(nvidia, watch, monkeypatch):
    begun, closing, begin = threading.Event(), threading.Event(), subprocess.Popen

    def slow(*given, **more):
        child = begin(*given, **more)
        begun.set()
        assert closing.wait(10)
        return child

    driver = nvidia()
    driver.behave("hangs")
    monkeypatch.setattr(subprocess, "Popen", slow)
    one = watch(driver, answer_within_s=60.0)
    assert begun.wait(10)
    ends = threading.Thread(target=one.close)
    ends.start()
    ends.join(0.2)
    closing.set()
    ends.join(30)
    assert askers() == []


def test_secrets_do_not_reach_the_process_that_asks(nvidia, watch, stage):
    driver = nvidia()
    driver.behave("hangs")
    secret = {"SHAKEOUT_BROKER": "redis://:s3cret@h", "SHAKEOUT_SIGNING_KEY": "s3cret"}
    driver.environment.update(secret)
    watch(driver, answer_within_s=60.0)
    (asker,) = stage.until(askers)
    assert "NVML_STUB" in stage.until(asker.environ)
    assert not secret.keys() & asker.environ().keys()


def test_a_workers_card_shows_its_gpus_and_its_host(nvidia, stage):
    stage.worker("w1", **nvidia().environment)
    card = stage.until(lambda: (shown := stage.card()).gpus and shown)
    assert [name for gpu in card.gpus for name in gpu.usable] == [
        "NVIDIA H200", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "NVIDIA H100 80GB HBM3 MIG 2g.20gb",
    ]  # fmt: skip
    assert (card.gpus[0].memory_bytes, card.driver) == (141 << 30, "550.54.15")
    assert (card.kernel, card.cpu) == (host.kernel(), host.cpu_model())
    assert (card.cores, card.memory_bytes) == (host.cores(), host.memory_bytes())
    assert card.python == sys.version.split()[0]


def test_a_worker_whose_driver_hangs_starts_all_the_same_and_leaves_nothing(nvidia, stage):
    driver = nvidia()
    driver.behave("hangs")
    began_s = time.monotonic()
    process = stage.worker("w1", **driver.environment)
    assert time.monotonic() - began_s < 3 * STARTS_WITHIN_S
    assert (stage.card().gpus, stage.card().driver) == ((), NOT_YET.driver)
    asking = [one for one in psutil.Process(process.pid).children() if "workers.gpus" in one.cmdline()]
    assert len(asking) == 1
    process.kill()
    stage.until(lambda: stage.is_over(asking[0]))


def test_the_card_shows_a_calibration_of_this_host_and_of_no_other(tmp_path, caplog):
    environment = {"SHAKEOUT_BROKER": "redis://127.0.0.1:1", "SHAKEOUT_HOME": str(tmp_path)}
    settings = parse(["--name", "a"], environment)
    assert settings.calibration == tmp_path / "calibration.json"
    assert calibrated(settings) == (None, "")
    here = Calibration(
        requests_per_s=5000.0, streams=400, requests_limited_by="", streams_limited_by="", at="2026-11-22",
        version=metadata.version("shakeout"), cpu=host.cpu_model(), python=host.python_version(), cores=2,
    )  # fmt: skip
    keep(here, settings.calibration)
    assert calibrated(settings) == (here, "")
    card = blank_card(settings, "one")
    assert (card.calibration, card.uncalibrated) == (here, "")
    keep(msgspec.structs.replace(here, cpu="another"), settings.calibration)
    with caplog.at_level(logging.WARNING):
        found, why = calibrated(settings)
    assert found is None
    assert why.startswith(f"calibrated with cpu another, here {host.cpu_model()}")
    assert "is left out" in caplog.messages[-1]
    settings.calibration.write_text("not JSON")
    assert "is no calibration" in calibrated(settings)[1]
