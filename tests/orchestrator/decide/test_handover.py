"""A draining worker's shard changes hands: whatever is lost or late, no arrival belongs to two attempts."""

from dataclasses import replace

import pytest
from msgspec import structs

from orchestrator.decide.handover import AHEAD_S
from orchestrator.decide.placing import MOST_ATTEMPTS, RESUME_MARGIN_S, waits_for
from orchestrator.facts import State, fold
from workers.contract import control
from workers.contract import facts as f
from workers.contract.broker.names import FENCE_MARGIN_S, LEASE_S

FENCE_S = 10.0
OLD, NEW = "steady:0:1", "steady:0:2"
ONE_SHARD = """\
      - name: steady
        kind: load
        target: chat
        shards: 1
        arrivals: {process: constant, rate: 20/s}
        duration: 30s
        data: {synthetic: {input_tokens: 8, output_tokens: 8}}
        slos: [success_rate >= 99%]
"""


@pytest.fixture
def draining(world):
    """A load of one shard on worker a, which drains 5 s into its 30 s; b and c are free."""
    one = world(("only", ONE_SHARD), workers=("a", "b", "c"))
    one.begin()
    later(one, 5.0)
    one.say(f.Draining(attempt=OLD))
    one.step()
    return one


@pytest.fixture
def handed(draining):
    """The same, when the successor is ready and the old attempt has been told."""
    draining.claim(NEW)
    draining.ready(NEW)
    draining.step()
    return draining


def later(world, after_s):
    """Time passes, and everybody renews."""
    world.now_s += after_s
    world.renew()
    world.step()


def phase_s(world):
    """Now, on the phase's clock."""
    return world.now_s - world.state.phases["only"].start_s


def ordered(world, kind):
    return {
        tell.order.attempt: (tell.worker, tell.order) for tell in world.told if isinstance(tell.order, kind)
    }


def until_s(world):
    return ordered(world, control.HandOver)[OLD][1].until_s


def another_leader(world):
    """Who takes over knows the journal, and gives every order again."""
    state = State()
    for fact in world.journal:
        state = fold(state, fact)
    world.state, world.told = state, []
    world.seen = replace(world.seen, leading_since_s=world.now_s)


def test_a_successor_is_made_ready_elsewhere_while_the_old_attempt_goes_on(draining):
    new = draining.state.attempts[NEW]
    assert draining.state.attempts[OLD].live
    assert draining.state.attempts[OLD].worker == "a"
    assert new.worker in {"b", "c"}
    assert NEW in draining.sent
    assert ordered(draining, control.HandOver) == {}


def test_the_leader_names_a_moment_ahead_and_only_the_promise_lets_the_successor_begin(handed):
    worker, order = ordered(handed, control.HandOver)[OLD]
    assert worker == "a"
    assert order.until_s == pytest.approx(phase_s(handed) + AHEAD_S)
    later(handed, 2.0)
    assert handed.state.attempts[NEW].from_s is None
    handed.say(f.Yielded(attempt=OLD, until_s=order.until_s))
    handed.step()
    assert handed.state.attempts[NEW].from_s == pytest.approx(phase_s(handed) + RESUME_MARGIN_S)
    assert handed.state.attempts[OLD].live, "its last answers are still to come"


def test_a_promise_that_comes_in_time_leaves_no_gap(handed):
    handed.state.phases["only"] = replace(handed.state.phases["only"], start_s=1795353926.1234567)
    handed.now_s = 1795353926.1234567 + until_s(handed) - AHEAD_S
    handed.renew()
    handed.say(f.Yielded(attempt=OLD, until_s=until_s(handed)))
    handed.step(after_s=0.05)
    assert handed.state.attempts[NEW].from_s == until_s(handed)
    assert ordered(handed, control.Start)[NEW][1].from_s == until_s(handed)


def test_an_engine_that_heard_it_late_promises_a_later_moment_which_the_successor_keeps(handed):
    promised_s = until_s(handed) + 3.0
    handed.say(f.Yielded(attempt=OLD, until_s=promised_s))
    handed.step()
    assert handed.state.attempts[NEW].from_s == promised_s


def test_an_attempt_that_was_handed_over_ends_and_the_campaign_goes_on_to_its_end(handed):
    handed.say(f.Yielded(attempt=OLD, until_s=until_s(handed)))
    handed.step()
    handed.exit(OLD, "stopped", why="handed over")
    later(handed, 1.0)
    assert [one.id for one in handed.state.attempts.values()] == [OLD, NEW]
    later(handed, 25.0)
    handed.exit(NEW)
    handed.step()
    assert handed.state.ended is not None


def test_the_successor_avoids_the_worker_that_drains_though_its_card_does_not_say_so_yet(world):
    one = world(("only", ONE_SHARD), workers=("a",))
    one.begin()
    one.say(f.Draining(attempt=OLD))
    one.step()
    assert NEW not in one.state.attempts
    assert one.state.attempts[OLD].live
    assert waits_for(one.state, one.plan, one.look(), one.now_s) == (
        "steady: 1 shard on workers that drain, and no other place for them yet: no worker that fits is free",
    )


def test_without_a_place_the_worker_stops_by_itself_and_the_shard_is_placed_when_there_is_one(world, card):
    one = world(("only", ONE_SHARD), workers=("a",))
    one.begin()
    one.fleet["a"] = card("a", draining=True)
    one.say(f.Draining(attempt=OLD))
    later(one, 10.0)
    one.exit(OLD, "stopped", why="draining: no successor was ready within 10 s")
    one.step()
    assert NEW not in one.state.attempts
    one.fleet["d"] = card("d")
    one.step()
    assert one.state.attempts[NEW].worker == "d"


def test_a_successor_whose_worker_begins_to_drain_is_not_waited_for(draining):
    draining.claim(NEW)
    draining.ready(NEW)
    worker = draining.state.attempts[NEW].worker
    draining.fleet[worker] = structs.replace(draining.fleet[worker], draining=True)
    draining.step()
    assert ordered(draining, control.HandOver) == {}
    draining.exit(NEW, "stopped", why="draining")
    draining.step()
    third = draining.state.attempts["steady:0:3"]
    assert third.worker not in {"a", worker}


def test_the_old_attempt_dies_before_it_was_told_and_the_successor_begins_at_once(draining):
    draining.claim(NEW)
    draining.exit(OLD, "died", why="engine exited with signal 9")
    draining.ready(NEW)
    draining.step()
    assert ordered(draining, control.HandOver) == {}
    assert draining.state.attempts[NEW].from_s == pytest.approx(phase_s(draining) + RESUME_MARGIN_S)


def test_the_old_attempt_dies_after_it_was_told_and_its_end_is_as_good_as_a_promise(handed):
    handed.now_s += 0.1
    handed.exit(OLD, "died", why="engine exited with signal 9")
    handed.step()
    assert handed.state.attempts[NEW].from_s == pytest.approx(phase_s(handed) + RESUME_MARGIN_S)


def test_the_old_worker_vanishes_after_it_was_told_and_the_successor_waits_for_its_fence(handed):
    heard_s = handed.now_s
    del handed.fleet["a"]
    handed.now_s += LEASE_S + 0.1
    handed.renew(but=[OLD])
    handed.step()
    start_s = handed.state.phases["only"].start_s
    fence_s = handed.state.attempts[OLD].lost.fence_s
    assert fence_s == pytest.approx(heard_s + FENCE_S + FENCE_MARGIN_S)
    assert handed.state.attempts[NEW].from_s == pytest.approx(fence_s - start_s)
    assert list(handed.state.attempts) == [OLD, NEW], "there is a successor already"


def test_the_old_worker_vanishes_after_its_promise_and_nobody_waits_for_its_fence(handed):
    handed.say(f.Yielded(attempt=OLD, until_s=until_s(handed)))
    handed.exit(NEW, "stopped", why="draining")
    handed.now_s += LEASE_S + 0.1
    handed.renew(but=[OLD])
    handed.step()
    assert handed.state.attempts[OLD].lost is not None
    third = "steady:0:3"
    handed.claim(third)
    handed.ready(third)
    handed.step()
    assert handed.state.attempts[third].from_s == pytest.approx(phase_s(handed) + RESUME_MARGIN_S)


def test_a_promise_that_comes_after_its_worker_was_given_up_still_shortens_the_wait(handed):
    handed.exit(NEW, "died", why="engine exited with signal 9")
    handed.now_s += LEASE_S + 0.1
    handed.renew(but=[OLD])
    handed.step()
    handed.say(f.Yielded(attempt=OLD, until_s=until_s(handed)))
    handed.claim("steady:0:3")
    handed.ready("steady:0:3")
    handed.step()
    from_s = handed.state.attempts["steady:0:3"].from_s
    assert from_s == pytest.approx(phase_s(handed) + RESUME_MARGIN_S)
    assert from_s >= until_s(handed)


def test_a_successor_that_dies_before_it_began_is_followed_by_another_from_where_the_old_one_stopped(handed):
    handed.say(f.Yielded(attempt=OLD, until_s=until_s(handed)))
    handed.exit(NEW, "died", why="engine exited with signal 9")
    handed.step()
    third = "steady:0:3"
    assert handed.state.attempts[third].live
    handed.claim(third)
    handed.ready(third)
    handed.step(after_s=0.9)
    assert handed.state.attempts[third].from_s == pytest.approx(phase_s(handed) + RESUME_MARGIN_S)


def test_a_successor_that_dies_before_the_old_one_was_told_leaves_it_running(draining):
    draining.claim(NEW)
    draining.exit(NEW, "died", why="engine exited with signal 9")
    draining.step()
    assert ordered(draining, control.HandOver) == {}
    assert draining.state.attempts[OLD].live
    assert draining.state.attempts["steady:0:3"].live


def test_a_new_leader_gives_the_order_again_with_the_same_moment(handed):
    before_s = until_s(handed)
    handed.now_s += 4.0
    handed.renew()
    another_leader(handed)
    handed.step()
    assert until_s(handed) == before_s
    assert handed.state.attempts[NEW].from_s is None


def test_a_new_leader_that_finds_the_promise_alone_believes_it(handed):
    promised_s = until_s(handed)
    handed.journal = [fact for fact in handed.journal if not isinstance(fact, f.HandedOver)]
    another_leader(handed)
    handed.say(f.Yielded(attempt=OLD, until_s=promised_s))
    handed.step()
    assert handed.state.attempts[NEW].from_s == promised_s
    assert ordered(handed, control.HandOver) == {}


def test_a_lost_promise_costs_only_time_for_the_end_of_the_old_attempt_stands_for_it(handed):
    later(handed, 3.0)
    assert handed.state.attempts[NEW].from_s is None
    handed.exit(OLD, "stopped", why="handed over")
    handed.step()
    assert handed.state.attempts[NEW].from_s == pytest.approx(phase_s(handed) + RESUME_MARGIN_S)


def test_an_old_attempt_that_did_all_the_work_itself_leaves_its_successor_nothing(draining):
    draining.claim(NEW)
    draining.exit(OLD)
    draining.ready(NEW)
    draining.step()
    assert draining.state.attempts[NEW].from_s is None
    worker, order = ordered(draining, control.Stop)[NEW]
    assert worker == draining.state.attempts[NEW].worker
    assert "did all the work" in order.why
    draining.exit(NEW, "stopped", why=order.why)
    draining.step()
    assert list(draining.state.attempts) == [OLD, NEW]
    assert draining.state.ended is not None


def test_a_shard_that_is_about_to_end_is_not_handed_over(world):
    one = world(("only", ONE_SHARD), workers=("a", "b"))
    one.begin()
    later(one, 30.2)
    one.say(f.Draining(attempt=OLD))
    one.step()
    assert list(one.state.attempts) == [OLD]


def test_a_campaign_that_is_stopped_hands_nothing_over_and_stops_both(draining):
    draining.claim(NEW)
    draining.ready(NEW)
    draining.say(f.AbortAsked(by="ada"))
    draining.step()
    assert ordered(draining, control.HandOver) == {}
    assert set(ordered(draining, control.Stop)) == {OLD, NEW}


def test_hand_overs_do_not_use_up_the_tries_of_a_shard(world, card):
    one = world(("only", ONE_SHARD), workers=("a", "b"))
    one.begin()
    for number in range(1, MOST_ATTEMPTS + 3):
        old, new = f"steady:0:{number}", f"steady:0:{number + 1}"
        name = one.state.attempts[old].worker
        one.say(f.Draining(attempt=old))
        one.step()
        one.claim(new)
        one.ready(new)
        one.step()
        one.say(f.Yielded(attempt=old, until_s=one.state.attempts[old].until_s))
        one.step()
        one.exit(old, "stopped", why="handed over")
        one.fleet[name] = card(name, incarnation=f"life-{number}")
        later(one, 0.5)
        assert one.state.attempts[new].from_s is not None


def test_every_shard_of_a_worker_is_handed_over(world, load_activity):
    one = world(("only", load_activity), workers=("a",))
    one.begin()
    one.fleet["b"] = replaced = structs.replace(one.fleet["a"], worker="b", incarnation="two", host="host-b")
    for shard in (0, 1):
        one.say(f.Draining(attempt=f"steady:{shard}:1"))
    one.step()
    one.claim("steady:0:2", "steady:1:2")
    one.ready("steady:0:2", "steady:1:2")
    one.step()
    assert {one.state.attempts[id_].worker for id_ in ("steady:0:2", "steady:1:2")} == {replaced.worker}
    assert set(ordered(one, control.HandOver)) == {"steady:0:1", "steady:1:1"}
