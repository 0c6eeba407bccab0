from dataclasses import replace

from orchestrator.decide.losses import (
    REVERTS_WITHIN_S,
    STEP_WITHIN_S,
    STOP_WITHIN_S,
    heard_since_loss,
)
from orchestrator.facts import State, fold
from workers.contract import facts as f


def placed(attempt, worker, incarnation):
    return f.Placed(
        attempt=attempt, phase="only", activity="steady", shard=0, of=1, number=1,
        worker=worker, incarnation=incarnation,
    )  # fmt: skip


def test_a_worker_that_was_lost_gets_nothing_until_it_speaks_again():
    state = fold(State(), placed("steady:0:1", "a", "one"))
    state = fold(state, f.Lost(attempt="steady:0:1", fence_s=20.0, why="silent", at_s=10.0))
    silent = f.WorkerCard(worker="a", incarnation="one", host="h", version="0", slots=1, seen_s=9.0)
    other = f.WorkerCard(worker="b", incarnation="two", host="h", version="0", slots=1, seen_s=9.0)
    assert heard_since_loss(state, (silent, other)) == (other,)
    back = f.WorkerCard(worker="a", incarnation="one", host="h", version="0", slots=1, seen_s=10.5)
    anew = f.WorkerCard(worker="a", incarnation="three", host="h", version="0", slots=1, seen_s=9.9)
    assert heard_since_loss(state, (back, anew)) == (back, anew)


def test_an_attempt_that_is_not_stopped_though_its_worker_lives_does_not_hold_up_the_end(
    world, load_activity
):
    one = world(("only", load_activity))
    one.begin()
    one.say(f.AbortAsked(by="ada", at_s=one.now_s))
    one.step()
    one.exit("steady:0:1", "stopped")
    one.now_s += STOP_WITHIN_S
    one.renew()
    one.step()
    assert one.state.attempts["steady:1:1"].live
    one.now_s += 0.1
    one.renew()
    one.step()
    lost = one.state.attempts["steady:1:1"].lost
    assert lost.why == "worker b did not stop it within 30 s"
    assert lost.fence_s > one.now_s
    assert one.state.ended is None
    one.step(after_s=lost.fence_s - one.now_s)
    assert one.state.ended is not None


def test_a_worker_that_could_not_be_heard_is_given_its_time_to_stop(world, load_activity):
    one = world(("only", load_activity))
    one.begin()
    one.say(f.AbortAsked(by="ada", at_s=one.now_s))
    one.step()
    one.now_s += STOP_WITHIN_S + 60
    one.seen = replace(one.seen, leading_since_s=one.now_s - 5)
    one.renew()
    one.step()
    assert len(one.state.live) == 2


def test_a_successor_that_is_never_ready_is_followed_by_another_and_in_the_end_by_none(world, load_activity):
    one = world(("only", load_activity), top="place_within: 12s\n")
    one.begin()
    one.exit("steady:0:1", "died")
    one.step()
    one.claim("steady:0:2")
    one.say(f.NotReady(attempt="steady:0:2", why="it does not answer"))
    one.now_s += 12.1
    one.renew()
    one.step()
    assert one.state.attempts["steady:0:2"].lost.why == (
        "worker b did not get it ready within 12 s: it does not answer"
    )
    assert one.state.attempts["steady:0:2"].lost.fence_s == 0.0
    one.claim("steady:0:3")
    one.now_s += 20
    one.renew()
    one.exit("steady:1:1")
    one.step()
    assert one.state.ended is not None


def test_a_shard_that_waits_for_the_start_of_its_phase_is_not_overdue(world, load_activity):
    one = world(("only", load_activity))
    one.say(f.Submitted(campaign="c-1", text="", at_s=one.now_s))
    one.step()
    one.claim()
    one.now_s += 59
    one.renew()
    one.step()
    assert len(one.state.live) == 2


def test_faults_that_do_not_end_though_their_worker_lives_do_not_hold_up_the_end(
    world, load_activity, chaos_activity
):
    one = world(("only", load_activity + chaos_activity))
    one.begin()
    for attempt in [id_ for id_ in one.state.live if not id_.startswith("hang")]:
        one.exit(attempt)
    ((hang, attempt),) = one.state.live.items()
    start_s = one.state.phases[attempt.phase].start_s
    one.now_s = start_s + 7.0 + STEP_WITHIN_S + REVERTS_WITHIN_S - 2.0
    one.renew()
    one.step()
    assert one.state.attempts[hang].live
    one.now_s += 4.0
    one.renew()
    one.step()
    assert one.state.attempts[hang].lost.why == (
        f"worker {attempt.worker} did not end it: 2 s more than its faults can take"
    )
