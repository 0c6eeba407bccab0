"""A fault from order to end, with real processes, seen from outside."""

import os
import signal
import time

import pytest

from workers.chaos.contract import Match
from workers.chaos.processes import boot_s, is_stopped, look, send, with_children
from workers.chaos.run import plan, run_fault
from workers.chaos.strike import STRIKES_WITHIN_S
from workers.contract.errors import FaultError

IDLE = "import signal; print('up', flush=True); signal.pause()"
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()"],
                         stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""
BREEDER = """
import os, time
print('up', flush=True)
while True:
    if os.fork() == 0:
        time.sleep(0.02)
        os._exit(0)
    time.sleep(0.002)
    try:
        while os.waitpid(-1, os.WNOHANG)[0]: pass
    except ChildProcessError: pass
"""
DEAF = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"
THREADS = """
import threading, time
for _ in range(3): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print('up', flush=True); time.sleep(60)
"""


def _whats(events):
    return [event.what for event in events]


@pytest.mark.parametrize("code", [None, THREADS], ids=["one thread", "four threads"])
def test_a_pause_stops_every_thread_for_its_time_and_leaves_nothing(
    orphan, agent, make_order, pinned, until, code
):
    target = orphan(code) if code else orphan()
    one = agent(make_order(pinned(target.pid), for_s=0.5))
    injected = one.event()
    assert (injected.what, [who.pid for who in injected.processes]) == ("injected", [target.pid])
    verified = one.event()
    assert (verified.what, verified.took_effect) == ("verified", True)
    assert is_stopped(target.who)
    (reverted,) = one.rest()
    assert (reverted.what, reverted.took_effect, reverted.why) == ("reverted", True, "")
    assert injected.at_s <= verified.at_s <= reverted.at_s
    assert 0.5 <= reverted.at_s - injected.at_s < 1.5
    until(lambda: target.state() == "S")
    assert list(one.ledger.rglob("*.json")) == []
    until(lambda: not one.guardians())


def test_children_of_a_match_are_stopped_with_it_and_go_on_with_it(orphan, agent, make_order, pinned, until):
    target = orphan(PARENT)
    child = look(int(target.words)).identity()
    one = agent(make_order(pinned(target.pid), for_s=3.0))
    one.until_event("verified")
    assert is_stopped(child)
    assert target.state() == "T"
    assert one.rest()[-1].took_effect
    until(lambda: target.state() == "S" and not is_stopped(child))


def test_a_pause_that_somebody_ends_did_not_take_effect(orphan, agent, make_order, pinned):
    target = orphan()
    one = agent(make_order(pinned(target.pid), for_s=3.0))
    assert one.until_event("verified").took_effect
    send(target.who, signal.SIGCONT)
    reverted = one.rest()[-1]
    assert reverted.took_effect is False
    assert f"process {target.pid}" in reverted.why
    assert "runs" in reverted.why


def test_an_effect_that_ends_just_before_the_fault_has_to_is_seen(
    orphan, make_order, pinned, tmp_path, until
):
    target, events = orphan(), []

    def ended_at_once():
        if "verified" not in _whats(events):
            return None
        send(target.who, signal.SIGCONT)
        until(lambda: target.state() == "S")
        return "the campaign is aborted"

    run_fault(
        make_order(pinned(target.pid), for_s=30.0, limit_s=60.0),
        ledger=tmp_path / "ledger",
        clock=boot_s,
        emit=events.append,
        may_go_on=ended_at_once,
        wait=time.sleep,
    )
    assert (events[-1].what, events[-1].took_effect) == ("reverted", False)
    assert "the campaign is aborted" in events[-1].why


@pytest.mark.parametrize(("for_s", "took_effect"), [(1.0, True), (3.0, False)])
def test_an_agent_that_is_held_up_until_its_guardian_has_reverted_says_what_it_had_seen(
    orphan, make_order, pinned, tmp_path, for_s, took_effect
):
    events = []

    def held_up(_):
        if "verified" not in _whats(events):
            return
        time.sleep(for_s + 0.8)  # beyond the guardian's half second

    run_fault(
        make_order(pinned(orphan().pid), for_s=for_s, limit_s=for_s),
        ledger=tmp_path / "ledger",
        clock=boot_s,
        emit=events.append,
        may_go_on=lambda: None,
        wait=held_up,
    )
    reverted = events[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", took_effect)
    assert "reverted by the guardian" in reverted.why
    assert ("not seen in effect in its last" in reverted.why) == (not took_effect)


def test_a_process_that_exits_in_between_ends_the_fault_and_is_said(orphan, agent, make_order, pinned):
    target = orphan()
    one = agent(make_order(pinned(target.pid)))
    one.until_event("verified")
    send(target.who, signal.SIGKILL)
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", False)
    assert "exited by itself" in reverted.why
    assert "nothing is left to hold" in reverted.why


def test_an_abort_ends_a_fault_early_and_its_effect_stands(orphan, agent, make_order, pinned, until):
    target = orphan()
    one = agent(make_order(pinned(target.pid)))
    one.until_event("verified")
    one.stop.write_text("aborted")
    until(lambda: target.state() == "S", 5.0)
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", True)
    assert reverted.why.endswith("of 30 s: aborted")


def test_nothing_is_injected_once_the_campaign_is_aborted(orphan, agent, make_order, pinned, tmp_path):
    target = orphan()
    (tmp_path / "stop").write_text("aborted")
    (failed,) = agent(make_order(pinned(target.pid))).rest()
    assert (failed.what, failed.why) == ("failed", "not injected: aborted")
    assert target.state() == "S"


def test_children_born_while_their_parent_is_being_stopped_are_stopped_too(
    orphan, agent, make_order, pinned, until
):
    target = orphan(BREEDER)
    one = agent(make_order(pinned(target.pid), for_s=0.5))
    injected = one.until_event("injected")
    one.until_event("verified")
    family = with_children([target.who])
    assert {who.pid for who in family} == {who.pid for who in injected.processes}
    assert all(is_stopped(who) for who in family)
    assert one.rest()[-1].took_effect
    until(lambda: target.state() == "S" and not any(is_stopped(who) for who in family))


def test_a_fault_is_reverted_though_the_callers_own_function_fails(orphan, agent, make_order, pinned, until):
    target = orphan()
    one = agent(make_order(pinned(target.pid)), "broken")
    until(lambda: one.process.poll() is not None)
    assert one.process.returncode == 1
    assert _whats(one.rest()) == ["injected", "verified", "reverted"]
    assert target.state() == "S"
    assert one.open_entries() == one.guardians() == []


def test_a_kill_ends_a_process_and_its_children(orphan, agent, make_order, pinned):
    target = orphan(PARENT)
    one = agent(make_order(pinned(target.pid), fault="kill-process", for_s=0))
    injected, verified = one.rest()
    assert {who.pid for who in injected.processes} == {target.pid, int(target.words)}
    assert (verified.what, verified.took_effect) == ("verified", True)
    assert target.state() in ("gone", "Z")
    assert list(one.ledger.rglob("*.json")) == []


def test_a_kill_that_would_come_late_because_its_agent_was_held_up_is_left_out(
    orphan, agent, make_order, pinned, until
):
    target = orphan()
    one = agent(make_order(pinned(target.pid), fault="kill-process", for_s=0.0), "held-up-opening")
    until(lambda: look(one.process.pid).state == "T")
    held_up_s = boot_s()
    until(lambda: boot_s() > held_up_s + STRIKES_WITHIN_S)
    one.process.send_signal(signal.SIGCONT)
    (failed,) = one.rest()
    assert failed.what == "failed"
    assert "not injected: this agent was held up for" in failed.why
    assert target.state() == "S"
    assert one.open_entries() == []


def test_a_signal_that_a_process_ignores_did_not_take_effect(orphan, agent, make_order, pinned):
    target = orphan(DEAF)
    order = make_order(pinned(target.pid), fault="kill-process", for_s=0, options={"signal": "TERM"})
    verified = agent(order).rest()[-1]
    assert (verified.what, verified.took_effect) == ("verified", False)
    assert "lives in spite of SIGTERM" in verified.why
    assert target.state() == "S"


def test_a_process_that_is_stopped_already_is_refused_and_stays_stopped(
    orphan, agent, make_order, pinned, until
):
    target = orphan()
    send(target.who, signal.SIGSTOP)
    until(lambda: target.state() == "T")
    (failed,) = agent(make_order(pinned(target.pid))).rest()
    assert (failed.what, failed.took_effect) == ("failed", False)
    assert "stopped already" in failed.why
    assert target.state() == "T"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root: becomes another user")
@pytest.mark.parametrize("fault", ["pause-process", "kill-process"])
def test_a_process_of_another_user_is_refused_with_a_way_out(orphan, make_order, as_nobody, tmp_path, fault):
    target = orphan(IDLE, "of-another-user")
    match = Match(cmdline="of-another-user$")
    order = make_order(match, fault=fault, for_s=1.0 if fault == "pause-process" else 0)
    said = as_nobody(lambda: plan(order, ledger=tmp_path))
    assert said.startswith(f"FaultError: not permitted to signal process {target.pid}")
    assert "run the worker as that user" in said
    assert target.state() == "S"


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ({"for_s": 10.0, "limit_s": 3601.0}, "no fault may last longer than 1h"),
        ({"for_s": 4000.0, "limit_s": 4000.0}, "no fault may last longer than 1h"),
        ({"for_s": float("nan")}, "no fault may last longer than 1h"),
        ({"for_s": 0.0}, "is held: give it a time"),
        ({"for_s": 61.0, "limit_s": 60.0}, "not above its limit"),
        ({"fault": "kill-process", "for_s": 1.0}, "one-shot and cannot be held"),
        ({"fault": "pause-proces"}, "did you mean pause-process"),
        ({"options": {"signal": "KILL"}}, "unknown field `signal`"),
        ({"fault": "kill-process", "for_s": 0.0, "options": {"signal": "STOP"}}, "say one of KILL"),
    ],
)
def test_an_order_that_cannot_be_done_fails_in_words_and_touches_nothing(
    orphan, make_order, pinned, tmp_path, times, words
):
    target = orphan()
    events = []
    run_fault(
        make_order(pinned(target.pid), **times),
        ledger=tmp_path / "ledger",
        clock=lambda: 5.0,
        emit=events.append,
        may_go_on=lambda: None,
        wait=lambda _: None,
    )
    (failed,) = events
    assert (failed.what, failed.at_s, failed.took_effect) == ("failed", 5.0, False)
    assert words in failed.why
    assert target.state() == "S"
    assert not (tmp_path / "ledger").exists()


def test_a_pause_without_a_match_fails(make_order, tmp_path):
    with pytest.raises(FaultError, match="needs a `match`"):
        plan(make_order(None), ledger=tmp_path)


def test_a_plan_names_the_processes_and_touches_none(orphan, make_order, pinned, tmp_path):
    target = orphan(PARENT)
    planned = plan(make_order(pinned(target.pid)), ledger=tmp_path / "ledger")
    assert [who.pid for who in planned.scene.processes] == [target.pid, int(target.words)]
    assert not (tmp_path / "ledger").exists()
    assert target.state() == "S"


def test_a_ledger_that_cannot_be_written_forbids_the_fault(orphan, make_order, pinned, tmp_path):
    target = orphan()
    (tmp_path / "ledger").write_text("a file where the folder should be")
    events = []
    run_fault(
        make_order(pinned(target.pid)),
        ledger=tmp_path / "ledger",
        clock=lambda: 0.0,
        emit=events.append,
        may_go_on=lambda: None,
        wait=lambda _: None,
    )
    assert _whats(events) == ["failed"]
    assert "without it no fault is injected" in events[0].why
    assert target.state() == "S"


def test_a_time_that_nobody_watched_is_said(make_order, tmp_path, until):
    events = []
    run_fault(
        make_order(None, fault="noop", for_s=1.2),
        ledger=tmp_path / "ledger",
        clock=boot_s,
        emit=events.append,
        may_go_on=lambda: None,
        wait=lambda _: until(lambda: boot_s() - events[0].at_s > 1.2),
    )
    assert _whats(events) == ["injected", "verified", "reverted"]
    assert "not watched for 1.2 s" in events[-1].why


def test_the_noop_fault_goes_through_all_steps(agent, make_order, until):
    one = agent(make_order(None, fault="noop", for_s=0.1))
    assert _whats(one.rest()) == ["injected", "verified", "reverted"]
    until(lambda: not one.guardians())
