"""The NVIDIA driver asked as a worker asks it, with a real library that behaves in all ways that one can."""

import json
import os
import subprocess
import sys

import msgspec
import pytest

from workers.contract.facts import Gpu
from workers.gpus import NOT_THERE, Devices

FIRST = Gpu("NVIDIA H200", "GPU-1", 141 << 30)
MIG = ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "NVIDIA H100 80GB HBM3 MIG 2g.20gb")
SECOND = Gpu("NVIDIA H100 80GB HBM3", "GPU-2", 80 << 30, MIG, mig_on=True)
VERSION = "550.54.15"


def ask(driver, *argv):
    return subprocess.run(
        [sys.executable, "-m", "workers.gpus", *argv],
        env={**os.environ, **(driver.environment if driver else {})},
        capture_output=True,
        check=False,
        timeout=60,
    )


def devices(driver):
    done = ask(driver)
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout, type=Devices)


def test_gpus_are_told_with_memory_driver_and_mig_instances(nvidia):
    assert devices(nvidia()) == Devices((FIRST, SECOND), VERSION)


def test_where_counts_the_instances_of_a_gpu_whose_mig_is_on(nvidia):
    driver = nvidia()
    assert [one.usable for one in devices(driver).gpus] == [("NVIDIA H200",), MIG]
    driver.behave("empty")
    assert [one.usable for one in devices(driver).gpus] == [("NVIDIA H200",), ()]
    driver.behave("no-mig")
    assert [one.usable for one in devices(driver).gpus] == [("NVIDIA H200",), ("NVIDIA H100 80GB HBM3",)]


@pytest.mark.parametrize(
    ("mode", "driver"),
    [
        ("init-error", "driver broken: RM has detected an NVML/RM version mismatch."),
        ("unloaded", "driver broken: Driver Not Loaded"),
    ],
)
def test_a_driver_that_does_not_begin_is_no_gpu_and_says_why(nvidia, mode, driver):
    made = nvidia()
    made.behave(mode)
    assert devices(made) == Devices((), driver)


def test_a_library_without_a_symbol_is_too_old_and_says_which(nvidia):
    assert devices(nvidia("-DOLD")).driver == "library too old (missing symbol: nvmlDeviceGetCount)"


def test_a_lost_gpu_is_left_out_and_named_and_the_others_stay(nvidia):
    driver = nvidia()
    driver.behave("lost")
    assert devices(driver) == Devices((FIRST,), f"{VERSION}; GPU 1 left out: GPU is lost")


def test_a_gpu_whose_memory_cannot_be_told_is_a_gpu(nvidia):
    driver = nvidia()
    driver.behave("no-memory")
    assert [one.memory_bytes for one in devices(driver).gpus] == [0, 0]


def test_a_name_that_is_no_text_leaves_the_gpu_out(nvidia):
    driver = nvidia()
    driver.behave("latin")
    said = devices(driver)
    assert said.gpus == ()
    assert said.driver.startswith(f"{VERSION}; GPU 0 left out: 'utf-8' codec")


def test_what_the_library_prints_is_not_in_the_answer(nvidia):
    driver = nvidia()
    driver.behave("talks")
    done = ask(driver)
    assert json.loads(done.stdout)["driver"] == VERSION
    assert b"nobody asked for" in done.stderr


def test_a_library_that_is_no_library_is_a_broken_driver(nvidia, tmp_path):
    driver = nvidia()
    (tmp_path / "libnvidia-ml.so.1").write_text("not one")
    driver.environment["LD_LIBRARY_PATH"] = str(tmp_path)
    said = devices(driver)
    assert said.gpus == ()
    assert said.driver.startswith("driver broken: ")
    assert "libnvidia-ml.so.1" in said.driver


def test_a_child_whose_parent_has_died_asks_nothing():
    assert ask(None, "--die-with-parent=1").returncode == 1


def test_names_are_text_whether_they_come_as_bytes_or_not():
    from workers.gpus import _text

    assert (_text(b"NVIDIA \xe9"), _text("NVIDIA H200")) == ("NVIDIA \ufffd", "NVIDIA H200")


def test_no_library_is_no_driver():
    if (found := devices(None)).driver != NOT_THERE:
        pytest.skip(f"this machine has a driver: {found.driver}")
    assert found.gpus == ()
