from dataclasses import replace

import pytest

from orchestrator.decide.actions import Finish, Judge, Say, Send
from orchestrator.decide.decide import START_MARGIN_S, decide
from orchestrator.decide.placing import LONGEST_REST_S, MOST_ATTEMPTS, RESUME_MARGIN_S, waits_for
from orchestrator.facts import State, fold
from workers.contract import control
from workers.contract import facts as f
from workers.contract.broker.names import CLAIM_WITHIN_S, FENCE_MARGIN_S, LEASE_S

FENCE_S = 10.0


@pytest.fixture
def running(world, load_activity):
    """Two shards of one load that have begun."""
    one = world(("only", load_activity))
    one.begin()
    return one


def starts(world):
    return {tell.order.attempt: tell.order for tell in world.told if isinstance(tell.order, control.Start)}


def test_nothing_is_decided_before_a_campaign_is_submitted(world, load_activity):
    assert world(("only", load_activity)).decide() == ()


def test_shards_are_placed_then_sent_once_to_different_workers(world, load_activity):
    one = world(("only", load_activity))
    one.say(f.Submitted(campaign="c-1", text=""))
    one.step()
    assert one.sent == ["steady:0:1", "steady:1:1"]
    assert {attempt.worker for attempt in one.state.attempts.values()} == {"a", "b"}


def test_a_phase_starts_at_one_time_only_when_all_its_shards_are_ready(world, load_activity):
    one = world(("only", load_activity))
    one.say(f.Submitted(campaign="c-1", text=""))
    one.step()
    one.claim()
    one.ready("steady:0:1")
    one.step()
    assert one.state.phases["only"].start_s is None
    one.ready("steady:1:1")
    one.step()
    assert one.state.phases["only"].start_s == one.now_s + START_MARGIN_S
    assert {order.start_s for order in starts(one).values()} == {one.now_s + START_MARGIN_S}
    assert {order.from_s for order in starts(one).values()} == {0.0}


def test_a_phase_whose_shards_are_done_is_judged_and_the_campaign_ends(running):
    running.finish_running()
    running.step()
    assert running.state.phases["only"].verdict == "pass"
    assert running.state.ended is not None
    assert running.decide() == ()


def test_a_phase_waits_for_the_last_snapshot_of_each_attempt(running):
    running.exit("steady:0:1", last_seq=3)
    running.exit("steady:1:1", last_seq=0)
    running.step()
    assert running.state.phases["only"].ended_s is None
    running.seen = type(running.seen)(seqs={"steady:0:1": 3})
    running.step()
    assert running.state.phases["only"].ended_s is not None


def test_a_last_snapshot_that_never_comes_is_waited_for_only_so_long(running):
    running.exit("steady:0:1", last_seq=3)
    running.exit("steady:1:1")
    running.step(after_s=16)
    assert running.state.phases["only"].ended_s is not None


def test_while_redis_was_away_no_last_snapshot_could_come(running):
    running.exit("steady:0:1", last_seq=3)
    running.exit("steady:1:1")
    running.now_s += 20
    running.seen = replace(running.seen, leading_since_s=running.now_s - 1)
    running.step()
    assert running.state.phases["only"].ended_s is None
    running.step(after_s=14)
    assert running.state.phases["only"].ended_s is not None


def test_a_lost_worker_is_said_with_the_fence_and_its_successor_begins_after_it(running):
    running.step(after_s=2.0)
    running.renew()
    silent_from_s = running.now_s
    del running.fleet["a"]
    lost = next(one.id for one in running.state.attempts.values() if one.worker == "a")
    running.now_s += LEASE_S + 0.1
    running.renew(but=[lost])
    running.step()
    fact = running.state.attempts[lost].lost
    assert fact.fence_s == pytest.approx(silent_from_s + FENCE_S + FENCE_MARGIN_S)
    assert running.revoked == [lost]
    (successor,) = [one for one in running.state.attempts.values() if one.number == 2]
    assert successor.worker == "b"
    running.claim(successor.id)
    running.ready(successor.id)
    running.step()
    start_s = running.state.phases["only"].start_s
    assert starts(running)[successor.id].from_s == pytest.approx(fact.fence_s - start_s)


def test_a_successor_that_is_ready_long_after_the_fence_begins_at_once(running):
    lost = next(one.id for one in running.state.attempts.values() if one.worker == "a")
    running.now_s += LEASE_S + 0.1
    running.renew(but=[lost])
    running.step()
    running.now_s += 15
    running.renew()
    successor = running.state.last_attempt("steady", running.state.attempts[lost].shard)
    running.claim(successor.id)
    running.ready(successor.id)
    running.step()
    start_s = running.state.phases["only"].start_s
    expected_s = running.now_s + RESUME_MARGIN_S - start_s
    assert running.state.attempts[successor.id].from_s == pytest.approx(expected_s)


def test_a_witnessed_death_lets_the_successor_begin_at_once(running):
    running.step(after_s=3.0)
    running.renew()
    running.exit("steady:0:1", "died")
    running.step()
    running.claim("steady:0:2")
    running.ready("steady:0:2")
    running.step()
    start_s = running.state.phases["only"].start_s
    assert starts(running)["steady:0:2"].from_s == pytest.approx(running.now_s + RESUME_MARGIN_S - start_s)


def test_a_lease_that_vanished_is_fenced_from_now_since_it_may_have_been_renewed_until_now(running):
    running.now_s += 5.0
    running.renew()
    del running.leases["steady:0:1"]
    running.step()
    fact = running.state.attempts["steady:0:1"].lost
    assert fact.fence_s == pytest.approx(running.now_s + FENCE_S + FENCE_MARGIN_S)


def test_nobody_is_judged_lost_before_leases_could_have_been_renewed(running):
    running.now_s += 60
    running.seen = type(running.seen)(leading_since_s=running.now_s - 1)
    running.step()
    assert all(one.lost is None for one in running.state.attempts.values())


def test_an_attempt_that_was_never_started_is_lost_without_a_fence(world, load_activity):
    one = world(("only", load_activity))
    one.say(f.Submitted(campaign="c-1", text=""))
    one.step()
    one.step(after_s=CLAIM_WITHIN_S + 0.1)
    first = one.state.attempts["steady:0:1"]
    assert first.lost.fence_s == 0
    assert one.state.last_attempt("steady", 0).number == 2


def test_a_shard_that_keeps_dying_rests_longer_and_longer_and_is_given_up_in_the_end(world, load_activity):
    running = world(("only", load_activity.replace("30s", "30m")))
    running.begin()
    rests_s = []
    for number in range(1, MOST_ATTEMPTS + 1):
        attempt = f"steady:0:{number}"
        running.claim(attempt)
        running.ready(attempt)
        running.step()
        running.exit(attempt, "died", why="a bad engine")
        died_s = running.now_s
        running.step()
        while number < MOST_ATTEMPTS and running.state.last_attempt("steady", 0).number == number:
            (why,) = waits_for(running.state, running.plan, running.look(), running.now_s)
            assert "1 shard given a rest after more than 3 failures: a bad engine" in why
            running.renew()
            running.step(after_s=0.5)
        rests_s.append(running.now_s - died_s)
    assert rests_s[:9] == [0, 0, 0, 1, 2, 4, 8, 16, 30]
    assert running.state.last_attempt("steady", 0).number == MOST_ATTEMPTS
    running.exit("steady:1:1")
    running.step(after_s=60)
    assert running.state.ended is not None


def test_a_shard_that_keeps_dying_before_the_start_ends_the_campaign_with_the_last_reason(
    world, load_activity
):
    one = world(("only", load_activity), top="place_within: 30s\n")
    one.say(f.Submitted(campaign="c-1", text="", at_s=one.now_s))
    for _ in range(70):
        one.step(after_s=0.5)
        one.claim("steady:1:1")
        one.ready("steady:1:1")
        one.renew()
        last = one.state.last_attempt("steady", 0)
        if last.live and one.state.aborting is None:
            one.exit(last.id, "died", why="no room on its disk")
    assert "could not begin within 30 s: steady on worker" in one.state.aborting.why
    assert one.state.aborting.why.endswith(": no room on its disk")
    assert last.number < 10


def test_no_successor_is_placed_for_a_schedule_that_is_over(running):
    start_s = running.state.phases["only"].start_s
    running.now_s = start_s + 29.95
    running.renew()
    running.exit("steady:0:1", "died")
    running.exit("steady:1:1")
    running.step()
    assert running.state.last_attempt("steady", 0).number == 1
    assert running.state.ended is not None


def test_a_fault_is_never_tried_again_once_its_phase_runs(world, load_activity, chaos_activity):
    one = world(("only", load_activity + chaos_activity))
    one.begin()
    one.exit("hang:0:1", "died")
    one.step()
    assert one.state.last_attempt("hang", 0).number == 1


def test_a_fault_that_could_not_begin_is_tried_again_before_its_phase_runs(
    world, load_activity, chaos_activity
):
    one = world(("only", load_activity + chaos_activity))
    one.say(f.Submitted(campaign="c-1", text=""))
    one.step()
    one.exit("hang:0:1", "died")
    one.step()
    assert one.state.last_attempt("hang", 0).number == 2


def test_workers_that_draw_other_schedules_refuse_the_phase(world, load_activity):
    one = world(("only", load_activity))
    one.say(f.Submitted(campaign="c-1", text=""))
    one.step()
    one.claim()
    one.ready("steady:0:1", fingerprint="this")
    one.ready("steady:1:1", fingerprint="that")
    one.step()
    assert one.state.aborting.verdict == "invalid"
    assert "disagree about the schedule of steady" in one.state.aborting.why


def test_a_worker_that_refuses_makes_the_campaign_invalid(world, load_activity):
    one = world(("only", load_activity))
    one.say(f.Submitted(campaign="c-1", text=""))
    one.step()
    one.claim()
    one.exit("steady:0:1", "refused", why="127.0.0.1:8000 is not on the allow-list")
    one.step()
    assert one.state.aborting.verdict == "invalid"
    assert "127.0.0.1:8000 is not on the allow-list" in one.state.aborting.why


def test_an_abort_waits_until_a_lost_attempt_must_be_silent(running):
    running.say(f.AbortAsked(by="ada"))
    running.exit("steady:1:1", "stopped")
    running.step()
    running.step(after_s=LEASE_S + 0.1)
    assert running.state.attempts["steady:0:1"].lost is not None
    assert running.state.ended is None
    running.step(after_s=FENCE_S + FENCE_MARGIN_S)
    assert running.state.ended is not None


def test_a_phase_whose_requirement_failed_is_skipped_and_so_is_what_requires_it(world, load_activity):
    one = world(
        ("first", load_activity),
        ("second", load_activity, ["first"]),
        ("third", load_activity, ["second"]),
    )
    one.verdicts["first"] = "fail"
    one.begin()
    one.finish_running()
    one.step()
    assert one.state.phases["second"].skipped_because == "requires first, which ended with fail"
    assert one.state.phases["third"].skipped_because == "requires second, which was skipped"
    assert one.state.ended is not None


def test_an_inconclusive_phase_does_not_keep_the_next_from_running(world, load_activity):
    one = world(("first", load_activity), ("second", load_activity, ["first"]))
    one.verdicts["first"] = "inconclusive"
    one.begin()
    one.finish_running()
    one.step()
    assert one.state.current_phase() == "second"


def test_a_restarted_leader_decides_from_the_journal_what_the_old_one_would_have(running):
    running.step(after_s=2.0)
    running.exit("steady:0:1", "died")
    again = State()
    for fact in running.journal:
        again = fold(again, fact)
    assert again == running.state
    seen = running.look()
    assert decide(again, running.plan, seen, running.now_s) == running.decide()


def test_deciding_twice_asks_for_the_same_facts_under_the_same_ids(running):
    running.exit("steady:0:1", "died")
    first = [action.id for action in running.decide() if isinstance(action, Say)]
    assert first == ["steady:0:2:placed"]
    assert [action.id for action in running.decide() if isinstance(action, Say)] == first


def test_a_placed_attempt_is_sent_again_by_a_new_leader_until_it_is_claimed(world, load_activity):
    one = world(("only", load_activity))
    one.say(f.Submitted(campaign="c-1", text=""))
    one.step()
    assert {a.attempt for a in one.decide() if isinstance(a, Send)} == {"steady:0:1", "steady:1:1"}
    one.claim("steady:0:1")
    assert {a.attempt for a in one.decide() if isinstance(a, Send)} == {"steady:1:1"}


def test_a_campaign_is_finished_only_after_its_last_phase_was_judged(running):
    assert not any(isinstance(one, Judge | Finish) for one in running.decide())
    running.finish_running()
    assert Judge("only") in running.decide()
    assert Finish() not in running.decide()


def test_a_regression_goes_on_without_the_cases_already_judged(world):
    text = """\
      - name: golden
        kind: regression
        target: chat
        golden: g.jsonl
"""
    one = world(("only", text))
    one.begin()
    one.seen = type(one.seen)(rows_done={"golden": (0, 2, 5)})
    one.exit("golden:0:1", "died")
    one.step()
    (placed,) = [fact for fact in one.journal if isinstance(fact, f.Placed) and fact.number == 2]
    assert placed.skip_rows == (0, 2, 5)


def test_a_regression_for_which_no_worker_is_left_ends_though_no_schedule_ends_it(world):
    text = """\
      - name: golden
        kind: regression
        target: chat
        golden: g.jsonl
"""
    one = world(("only", text), workers=("a",), top="place_within: 20s\n")
    one.begin()
    one.fleet.clear()
    one.exit("golden:0:1", "died")
    one.step(after_s=20 + LONGEST_REST_S)
    assert one.state.phases["only"].ended_s is None
    one.step(after_s=0.1)
    assert one.state.ended is not None


def test_a_successor_never_begins_before_its_predecessor_was_certainly_silent(running):
    running.say(f.Exited(attempt="steady:0:1", outcome="died", silent_s=running.now_s + 0.7))
    running.step()
    running.claim("steady:0:2")
    running.ready("steady:0:2")
    running.step()
    start_s = running.state.phases["only"].start_s
    assert running.state.attempts["steady:0:2"].from_s == pytest.approx(running.now_s + 0.7 - start_s)
