"""gpu-compute from order to end, on GPUs made of C."""

import os
import shutil
import signal
import subprocess

import pytest

from workers.chaos.gpu import spin


def test_gpus_are_kept_at_work_until_the_fault_ends(gpus, agent, make_order, until):
    one = agent(make_order(None, fault="gpu-compute"))
    verified = one.until_event("verified")
    assert verified.took_effect
    assert gpus.works() == {0, 1}
    one.stop.write_text("seen enough")
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", True)
    until(lambda: gpus.works() == set())
    assert one.open_entries() == one.guardians() == []


def test_work_ends_though_the_agent_is_killed(gpus, agent, make_order, until):
    one = agent(make_order(None, fault="gpu-compute", options={"share": "60%", "device": 1}))
    one.until_event("verified")
    assert gpus.works() == {1}
    os.kill(one.process.pid, signal.SIGKILL)
    until(lambda: gpus.works() == set(), 15.0)  # 5 s are promised
    until(lambda: one.open_entries() == one.guardians() == [])
    assert gpus.held_mib() == {0: 0, 1: 0}


def test_a_gpu_that_ends_no_kernel_is_no_effect(gpus, agent, make_order):
    gpus.behave("wedged")
    reverted = agent(make_order(None, fault="gpu-compute", for_s=1.5)).rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", False)
    assert "no kernel of ours has ended yet" in reverted.why
    assert gpus.works() == set()


def test_a_share_that_makes_no_sense_is_refused(gpus, refusal):
    assert refusal("gpu-compute", share="0%") == "share 0%: must be at least 1%"
    assert "at most 100%" in refusal("gpu-compute", share="120%")


@pytest.mark.parametrize(
    ("rounds", "took_s", "next_"), [(4096, 0.001, 8192), (4096, 0.1, 2048), (4096, 0.005, 4096), (1, 1.0, 1)]
)
def test_a_kernel_is_made_to_take_some_milliseconds(rounds, took_s, next_):
    assert spin.next_rounds(rounds, took_s) == next_


def test_the_kernel_is_such_that_nvidias_assembler_takes_it(tmp_path):
    assembler = shutil.which("ptxas")
    if assembler is None:
        pytest.skip("needs ptxas of NVIDIA's CUDA toolkit")
    source = tmp_path / "spin.ptx"
    source.write_text(spin.PTX)
    argv = [assembler, "-arch=sm_90", "-o", tmp_path / "spin.cubin", source]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "spin.cubin").stat().st_size > 0
