"""A real worker process: its name, its card, its end."""

import os
import signal
import subprocess
import sys
import time

import psutil

from workers.contract.broker import names
from workers.contract.facts import Claimed, Exited, FaultSeen, Ready
from workers.contract.fault_steps import FaultStep
from workers.contract.spec import ChaosSpec


def chaos(
    pid_match: dict | None, *, at_s: float = 0.0, for_s: float = 0.3, fence_s: float = 10.0
) -> ChaosSpec:
    return ChaosSpec(
        campaign="trial-1",
        phase="p",
        activity="hang",
        steps=(FaultStep("pause-process", {}, pid_match, at_s=at_s, for_s=for_s),),
        fence_s=fence_s,
    )


def test_a_worker_shows_its_card_and_takes_it_back_when_drained(stage):
    process = stage.worker("w1", "--label", "zone=a", "--label", "zone=a", "--slots", "2")
    card = stage.card()
    assert (card.worker, card.slots, card.labels, card.pid) == ("w1", 2, ("zone=a",), process.pid)
    assert abs(card.seen_s - time.time()) < 3
    assert 0 < card.uncertainty_s < 0.5
    later = stage.until(lambda: (shown := stage.card()).seen_s > card.seen_s and shown)
    assert later.incarnation == card.incarnation
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert stage.card() is None


def test_a_second_live_holder_of_a_name_is_refused(stage):
    stage.worker()
    first = stage.card()
    second = stage.worker(wait=False)
    assert second.wait(20) == 2
    assert stage.card().incarnation == first.incarnation


def test_a_worker_that_may_not_write_says_where_and_ends(stage, tmp_path):
    (tmp_path / "file").touch()
    argv = [sys.executable, "-m", "workers", "--name", "w1"]
    told = {"SHAKEOUT_BROKER": stage.url, "SHAKEOUT_HOME": str(tmp_path / "file" / "home")}
    done = subprocess.run(
        argv, env={**os.environ, **told}, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("worker w1: cannot write to ")
    assert lines[-1].endswith(": Not a directory; make it possible, or set SHAKEOUT_HOME to another folder")
    assert "Traceback" not in done.stderr


def test_the_name_of_a_killed_worker_is_free_again_within_seconds(stage):
    first = stage.worker()
    old = stage.card()
    first.kill()
    stage.worker()
    assert stage.card().incarnation != old.incarnation


def test_a_task_sent_twice_or_for_another_life_runs_once(stage, tmp_path):
    stage.lead()
    stage.worker()
    other = stage.place(chaos({"name": "nobody"}), kind="chaos", incarnation="another", number=2)
    task = stage.place(chaos({"name": "no-such-process"}), kind="chaos")
    stage.send(task)
    stage.start(task)
    exited = stage.fact(Exited)
    assert exited.outcome == "done"
    stage.until(lambda: not stage.client.exists(names.queue("w1")))
    assert [fact.attempt for fact in stage.facts(Claimed)] == [task.attempt]
    assert [seen.what for seen in stage.facts(FaultSeen)] == ["failed"]
    assert stage.client.hget(names.claims(stage.campaign), other.attempt) is None


def test_a_fault_is_done_at_its_time_on_the_demo_target_and_told_step_by_step(stage):
    stage.lead()
    stage.target()
    (target,) = stage.processes
    stage.worker("w1", "--label", "model-server", SHAKEOUT_DEMO_PID=str(target.pid))
    task = stage.place(chaos(None, at_s=0.4, for_s=2.0), kind="chaos")
    stage.fact(Ready)
    start_s = stage.start(task, in_s=3.0)
    exited = stage.fact(Exited)
    seen = {fact.what: fact for fact in stage.facts(FaultSeen)}
    assert (exited.outcome, exited.why, list(seen)) == ("done", "", ["injected", "verified", "reverted"])
    assert 0 <= seen["injected"].at_s - start_s - 0.4 < 1.5
    assert 2.0 <= seen["reverted"].at_s - seen["injected"].at_s < 4.0
    assert seen["reverted"].took_effect
    assert seen["injected"].processes[0].startswith(f"{target.pid} ")
    assert 0 < seen["injected"].uncertainty_s < 0.5


def test_a_held_fault_is_reverted_when_it_is_told_to_stop(stage):
    stage.lead()
    stage.target()
    (target,) = stage.processes
    stage.worker("w1", "--label", "model-server", SHAKEOUT_DEMO_PID=str(target.pid))
    task = stage.place(chaos(None, for_s=60.0), kind="chaos")
    stage.start(task, in_s=0.0)
    stage.until(lambda: [fact for fact in stage.facts(FaultSeen) if fact.what == "verified"])
    stage.halt(task)
    exited = stage.fact(Exited, 5.0)
    assert (exited.outcome, exited.why) == ("stopped", "a test says so")
    assert stage.facts(FaultSeen)[-1].what == "reverted"


def test_a_fault_is_reverted_when_nobody_leads_for_longer_than_the_fence(stage):
    stage.lead()
    stage.target()
    (target,) = stage.processes
    stage.worker("w1", "--label", "model-server", SHAKEOUT_DEMO_PID=str(target.pid))
    task = stage.place(chaos(None, for_s=60.0, fence_s=3.0), kind="chaos")
    stage.start(task, in_s=0.0)
    stage.until(lambda: [fact for fact in stage.facts(FaultSeen) if fact.what == "verified"])
    gone_s = time.time()
    stage.client.delete(names.LEADER)
    exited = stage.fact(Exited, 12.0)
    assert exited.outcome == "stopped"
    reverted = stage.facts(FaultSeen)[-1]
    assert reverted.what == "reverted"
    assert 1.5 < reverted.at_s - gone_s < 5.0


def test_a_worker_told_so_dies_with_its_parent(stage):
    code = (
        "import subprocess, sys; "
        "subprocess.run([sys.executable, '-m', 'workers', '--name', 'w1', '--die-with-parent'], check=False)"
    )
    environment = {"SHAKEOUT_BROKER": stage.url, "SHAKEOUT_HOME": str(stage.folder)}
    parent = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **environment})
    try:
        worker = psutil.Process(stage.until(stage.card).pid)
        assert worker.ppid() == parent.pid
    finally:
        parent.kill()
        parent.wait(5)
    stage.until(lambda: stage.is_over(worker), 6.0)
