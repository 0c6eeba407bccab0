"""The promise: kill, stop or break the agent: the target runs again within 5 s, and nothing is left."""

import os
import signal
from pathlib import Path

import pytest

from workers.chaos.ledger import reconcile
from workers.chaos.processes import look

PROMISE_S = 5.0


@pytest.mark.parametrize("manner", [(), ("leaky",)], ids=["alone", "a child holds its pipes"])
def test_a_target_runs_again_when_its_agent_is_killed_in_the_middle(
    orphan, agent, make_order, pinned, until, manner
):
    target = orphan()
    one = agent(make_order(pinned(target.pid)), *manner)
    assert one.until_event("verified").took_effect
    assert target.state() == "T"
    assert len(one.open_entries()) == len(one.guardians()) == 1
    held_by_nobody = [
        pid for pid in one.guardians() if look(pid).parent not in (os.getpid(), one.process.pid)
    ]
    assert held_by_nobody == one.guardians()

    one.process.kill()
    took_s = until(lambda: target.state() == "S", PROMISE_S)
    print(f"running again after {took_s * 1000:.1f} ms")
    until(lambda: not one.open_entries() and not one.guardians(), PROMISE_S)
    one.process.wait(PROMISE_S)
    (found,) = reconcile(one.ledger)
    assert (found.by, found.why, found.name) == ("guardian", "the agent was gone", "hang")
    assert reconcile(one.ledger) == []


def test_a_target_runs_again_at_the_time_limit_though_its_agent_hangs(
    orphan, agent, make_order, pinned, until
):
    target = orphan()
    one = agent(make_order(pinned(target.pid), for_s=2.0, limit_s=2.5))
    injected = one.until_event("injected")
    one.process.send_signal(signal.SIGSTOP)
    until(lambda: target.state() == "S", PROMISE_S)
    until(lambda: not one.open_entries(), PROMISE_S)
    assert look(one.process.pid).state == "T"
    assert one.guardians(), "it stays for as long as the agent has not seen that it is over"

    one.process.send_signal(signal.SIGCONT)
    reverted = one.rest()[-1]
    until(lambda: not one.guardians(), PROMISE_S)
    assert reverted.what == "reverted"
    assert "reverted by the guardian: time limit" in reverted.why
    assert 2.0 <= reverted.at_s - injected.at_s < 2.5 + 0.5 + PROMISE_S
    assert reconcile(one.ledger) == []


def test_an_agent_that_stops_while_it_tells_of_its_injection_knows_when_that_was(
    orphan, agent, make_order, pinned, until
):
    one = agent(make_order(pinned(orphan().pid), for_s=2.0, limit_s=2.5), "held-up-telling")
    one.until_event("injected")
    until(lambda: not one.open_entries(), 2.5 + PROMISE_S)
    one.process.send_signal(signal.SIGCONT)
    assert one.rest()[-1].why.endswith("reverted by the guardian: time limit")


def _held_up(one, until):
    """Wait until the agent has stopped itself and its guardian has reverted at the time limit."""
    until(lambda: look(one.process.pid).state == "T")
    until(lambda: list(one.ledger.glob("done/*.json")) and not one.open_entries())


def test_what_a_held_up_agent_injects_after_its_guardians_revert_is_put_back_once_more(
    orphan, agent, make_order, pinned, until
):
    target = orphan()
    one = agent(make_order(pinned(target.pid), for_s=0.3, limit_s=0.5), "held-up-injecting")
    _held_up(one, until)
    one.process.send_signal(signal.SIGCONT)
    *_, reverted = one.rest()
    assert (reverted.what, reverted.took_effect) == ("reverted", False)
    assert "after its guardian had reverted it: put back once more" in reverted.why
    assert target.state() == "S"
    until(lambda: not one.guardians(), PROMISE_S)
    assert one.open_entries() == reconcile(one.ledger) == []


def test_what_a_held_up_agent_injects_and_dies_of_is_put_back_by_its_guardian(
    orphan, agent, make_order, pinned, until
):
    target = orphan()
    one = agent(make_order(pinned(target.pid), for_s=0.3, limit_s=0.5), "held-up-injecting-dies")
    _held_up(one, until)
    one.process.send_signal(signal.SIGCONT)
    assert one.process.wait(PROMISE_S) == -signal.SIGKILL
    until(lambda: target.state() == "S", PROMISE_S)
    until(lambda: not one.guardians(), PROMISE_S)
    assert one.open_entries() == []
    assert [found.by for found in reconcile(one.ledger)] == ["guardian"]


def test_a_held_up_agent_that_sees_in_time_that_its_time_is_over_injects_nothing(
    orphan, agent, make_order, pinned, until
):
    target = orphan()
    one = agent(make_order(pinned(target.pid), for_s=0.3, limit_s=0.5), "held-up-recording")
    _held_up(one, until)
    one.process.send_signal(signal.SIGCONT)
    (failed,) = one.rest()
    assert failed.what == "failed", "nothing was injected, so nothing was reverted"
    assert "not injected" in failed.why
    until(lambda: not one.guardians(), PROMISE_S)
    assert one.open_entries() == reconcile(one.ledger) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_guardian_ignores_a_polite_end_while_the_fault_is_held(
    orphan, agent, make_order, pinned, until, number
):
    target = orphan()
    one = agent(make_order(pinned(target.pid)))
    one.until_event("verified")
    (guardian,) = one.guardians()
    os.kill(guardian, number)
    one.process.kill()
    until(lambda: target.state() == "S", PROMISE_S)
    until(lambda: not one.guardians(), PROMISE_S)
    one.process.wait(PROMISE_S)
    assert [found.by for found in reconcile(one.ledger)] == ["guardian"]


def test_a_fault_ends_at_once_when_its_guardian_is_killed(orphan, agent, make_order, pinned, until):
    target = orphan()
    one = agent(make_order(pinned(target.pid)))
    one.until_event("verified")
    os.kill(one.guardians()[0], signal.SIGKILL)
    until(lambda: target.state() == "S", PROMISE_S)
    (reverted,) = one.rest()
    assert reverted.what == "reverted"
    assert "the guardian ended" in reverted.why
    assert one.open_entries() == []


def test_the_next_start_of_the_worker_reverts_when_agent_and_guardian_were_both_killed(
    orphan, agent, make_order, pinned, until
):
    target = orphan()
    one = agent(make_order(pinned(target.pid)))
    one.until_event("verified")
    assert reconcile(one.ledger) == [], "an agent that lives keeps its fault"
    assert target.state() == "T"
    one.process.send_signal(signal.SIGSTOP)  # so that it cannot revert while its guardian dies
    os.kill(one.guardians()[0], signal.SIGKILL)
    one.process.kill()
    one.process.wait(PROMISE_S)
    assert target.state() == "T"
    (found,) = reconcile(one.ledger)
    assert target.state() == "S"
    assert (found.by, found.fault) == ("next worker", "pause-process")
    assert one.open_entries() == []
    assert reconcile(one.ledger) == []


def test_a_ledger_that_breaks_meanwhile_does_not_keep_the_target_stopped(
    orphan, agent, make_order, pinned, until
):
    target = orphan()
    one = agent(make_order(pinned(target.pid)))
    one.until_event("verified")
    (path,) = one.open_entries()
    sound = path.read_bytes()
    path.write_bytes(b"{")
    one.process.kill()
    until(lambda: target.state() == "S", PROMISE_S)
    assert one.guardians(), "it goes on until it could record what it did"
    path.write_bytes(sound)
    until(lambda: not one.open_entries() and not one.guardians(), PROMISE_S)


def test_an_agent_killed_before_its_guardian_was_there_leaves_what_the_next_life_clears_and_nobody_felt(
    orphan, agent, make_order, pinned, until
):
    target = orphan()
    one = agent(make_order(pinned(target.pid)), "held-up-opening")
    until(lambda: look(one.process.pid).state == "T")
    assert len(one.open_entries()) == 1
    assert one.guardians() == []
    one.process.kill()
    one.process.wait(PROMISE_S)
    assert target.state() == "S"
    (found,) = reconcile(one.ledger)
    assert (found.began, found.by) == (False, "next worker")
    assert target.state() == "S"
    assert one.open_entries() == reconcile(one.ledger) == []


def test_a_guardian_is_the_last_to_be_ended_for_memory(orphan, agent, make_order, pinned):
    mine = Path("/proc/self/oom_score_adj")
    before = mine.read_text()
    try:
        mine.write_text(str(int(before) - 1))
        mine.write_text(before)
    except OSError:
        pytest.skip("needs CAP_SYS_RESOURCE: lowers oom_score_adj")
    one = agent(make_order(pinned(orphan().pid)))
    one.until_event("verified")
    (guardian,) = one.guardians()
    assert int(Path(f"/proc/{guardian}/oom_score_adj").read_text()) == -1000


def test_a_ledger_that_cannot_be_closed_is_said_and_the_target_runs(orphan, agent, make_order, pinned, until):
    target = orphan()
    one = agent(make_order(pinned(target.pid), for_s=30.0))
    one.until_event("verified")
    (path,) = one.open_entries()
    path.unlink()
    path.mkdir()  # which can be neither read nor unlinked
    one.stop.write_text("enough")
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", True)
    assert "cannot be closed" in reverted.why
    assert target.state() == "S"
    path.rmdir()
    until(lambda: not one.guardians(), 3 * PROMISE_S)
