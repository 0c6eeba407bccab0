"""The promise: kill, stop or break the agent: the target runs again within 5 s, and nothing is left."""

import os
import signal

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
    one = agent(make_order(pinned(target.pid), for_s=1.0, limit_s=1.2))
    injected = one.until_event("injected")
    one.process.send_signal(signal.SIGSTOP)
    until(lambda: target.state() == "S", PROMISE_S)
    until(lambda: not one.open_entries() and not one.guardians(), PROMISE_S)
    assert look(one.process.pid).state == "T"

    one.process.send_signal(signal.SIGCONT)
    reverted = one.rest()[-1]
    assert reverted.what == "reverted"
    assert "reverted by the guardian: time limit" in reverted.why
    assert 1.2 <= reverted.at_s - injected.at_s < 1.2 + 0.5 + PROMISE_S
    assert reconcile(one.ledger) == []


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
