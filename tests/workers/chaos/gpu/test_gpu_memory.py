"""gpu-memory from order to end, on GPUs made of C: what it takes is seen in the accounts of the stub."""

import os
import signal
import subprocess
import sys
import time

import pytest

from workers.chaos.gpu.asking import NEWS_WITHIN_S

CONTEXT_MIB = 300  # what CUDA itself takes, on the stub
RECONCILE = (
    "import sys; from pathlib import Path; from workers.chaos.ledger import reconcile; "
    "print([entry.why for entry in reconcile(Path(sys.argv[1]))])"
)


def test_memory_is_taken_for_its_time_and_given_back(gpus, agent, make_order, until):
    one = agent(make_order(None, fault="gpu-memory", for_s=3.0, options={"size": "3GiB", "device": 0}))
    injected = one.until_event("injected")
    assert injected.touched == ("memory of GPU 0 (NVIDIA H200)",)
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect, reverted.why) == ("reverted", True, "")
    assert reverted.at_s - injected.at_s >= 3.0
    until(lambda: gpus.held_mib() == {0: 0, 1: 0})
    assert one.open_entries() == one.guardians() == []


@pytest.mark.parametrize(
    ("options", "held"),
    [
        ({"size": "3GiB", "device": 0}, {0: 3 * 1024 + CONTEXT_MIB, 1: 0}),
        ({"share_of_free": "50%"}, {0: 140 * 512 + CONTEXT_MIB, 1: 79 * 512 + CONTEXT_MIB}),
    ],
)
def test_so_much_is_taken_as_was_asked_for(gpus, agent, make_order, options, held):
    one = agent(make_order(None, fault="gpu-memory", options=options))
    assert one.until_event("verified").took_effect
    assert gpus.held_mib() == held
    one.stop.write_text("seen enough")
    assert one.rest()[-1].took_effect
    assert gpus.held_mib() == {0: 0, 1: 0}


@pytest.mark.parametrize("killed", ["agent", "agent and guardian"])
def test_memory_is_given_back_though_everybody_is_killed(gpus, agent, make_order, until, killed):
    one = agent(make_order(None, fault="gpu-memory", options={"size": "1GiB"}))
    one.until_event("verified")
    assert gpus.held_mib()[1] == 1024 + CONTEXT_MIB
    doomed = [one.process.pid, *(one.guardians() if "guardian" in killed else [])]
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)
    until(lambda: gpus.held_mib() == {0: 0, 1: 0}, 15.0)  # 5 s are promised
    if "guardian" in killed:
        done = subprocess.run(
            [sys.executable, "-c", RECONCILE, str(one.ledger)],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        assert done.stdout == "['left by an agent that was gone']\n"
    until(lambda: one.open_entries() == one.guardians() == [])


def test_a_driver_that_names_no_processes_shows_the_effect_by_what_is_in_use(gpus, agent, make_order):
    gpus.behave("nameless")
    one = agent(make_order(None, fault="gpu-memory", options={"size": "1GiB"}))
    assert one.until_event("verified").took_effect
    one.stop.write_text("seen enough")
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", True)


def test_memory_that_a_driver_does_not_take_back_is_residue(gpus, agent, make_order, until):
    one = agent(make_order(None, fault="gpu-memory", options={"size": "1GiB", "device": 1}))
    one.until_event("verified")
    gpus.behave("leaks")
    one.stop.write_text("seen enough")
    residue = one.until_event("residue")
    assert "still holds 1324 MiB of GPU 1 (NVIDIA H100 80GB HBM3)" in residue.why
    assert len(one.open_entries()) == 1
    gpus.behave("")
    until(lambda: one.open_entries() == [])
    assert one.until_event("reverted").took_effect


def test_a_driver_that_hangs_ends_the_effect_and_what_is_left_is_measured_later(
    gpus, agent, make_order, until
):
    one = agent(make_order(None, fault="gpu-memory", options={"size": "1GiB", "device": 0}))
    one.until_event("verified")
    gpus.behave("hangs")
    (news,) = one.ledger.glob("*/gpus.json")
    until(lambda: time.time() - news.stat().st_mtime > NEWS_WITHIN_S + 0.5)
    one.stop.write_text("seen enough")
    residue = one.until_event("residue")
    assert residue.took_effect is False
    assert "cannot be measured: the NVIDIA driver did not answer within 3 s" in residue.why
    assert "the NVIDIA driver has not answered for" in residue.why
    assert gpus.held_mib() == {0: 0, 1: 0}
    gpus.behave("")
    until(lambda: one.open_entries() == [])


def test_a_gpu_that_gives_too_little_is_no_effect(gpus, agent, make_order):
    gpus.behave("full")
    one = agent(make_order(None, fault="gpu-memory", for_s=4.0, options={"size": "2GiB", "device": 0}))
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", False)
    assert "300 MiB of 2048 MiB are taken on GPU 0" in reverted.why


def test_our_process_that_somebody_kills_ends_the_effect(gpus, agent, make_order, until):
    one = agent(make_order(None, fault="gpu-memory", options={"size": "1GiB", "device": 0}))
    one.until_event("verified")
    (holder,) = {int(file.name.split(".")[0]) for file in gpus.folder.glob("*.bytes")}
    os.kill(holder, signal.SIGKILL)
    until(lambda: gpus.held_mib() == {0: 0, 1: 0})
    one.stop.write_text("seen enough")
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", False)
    assert "our process on the GPU has ended" in reverted.why


def test_a_hidden_gpu_is_left_alone(gpus, agent, make_order):
    gpus.behave("one-visible")
    one = agent(make_order(None, fault="gpu-memory", options={"size": "1GiB"}))
    one.until_event("verified")
    assert gpus.held_mib() == {0: 0, 1: 1024 + CONTEXT_MIB}
    one.stop.write_text("seen enough")
    assert one.rest()[-1].took_effect


@pytest.mark.parametrize(
    ("mode", "options", "words"),
    [
        ("one-visible", {"size": "1GiB", "device": 0}, "device 0: that GPU is hidden from this worker"),
        ("", {"size": "1GiB", "device": 7}, "device 7: that GPU is not on this host; there are: 0, 1"),
        (
            "",
            {"size": "100GiB"},
            "GPU 1 (NVIDIA H100 80GB HBM3) has 80896 MiB free, 102400 MiB are asked for",
        ),
        ("no-device", {"size": "1GiB"}, "unsupported here: CUDA: cuInit: no CUDA-capable device is detected"),
        ("", {"size": "1 GB"}, "size '1 GB': say a number and one of B KiB"),
        ("", {"share_of_free": "0%"}, "would take no memory"),
    ],
)
def test_what_cannot_be_done_is_refused_and_takes_nothing(gpus, refusal, mode, options, words):
    gpus.behave(mode)
    assert words in refusal("gpu-memory", **options)
    assert not list(gpus.folder.glob("*.bytes"))


def test_a_host_without_cuda_says_what_is_missing(gpus, refusal):
    (gpus.folder / "libcuda.so.1").unlink()
    why = refusal("gpu-memory", size="1GiB")
    if "libcuda.so.1" not in why:
        pytest.skip("this machine has a CUDA driver of its own")
    assert why.startswith("unsupported here: no CUDA driver (libcuda.so.1")
    assert "NVIDIA_DRIVER_CAPABILITIES=compute" in why


def test_a_host_without_a_driver_says_what_is_missing(refusal, monkeypatch, tmp_path):
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    why = refusal("gpu-memory", size="1GiB")
    if "libnvidia-ml.so.1" not in why:
        pytest.skip("this machine has an NVIDIA driver")
    assert why.startswith("unsupported here: no NVIDIA driver: libnvidia-ml.so.1")
