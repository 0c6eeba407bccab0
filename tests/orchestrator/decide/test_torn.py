"""A leader that finds a journal without its end, on a server that was restarted."""

from dataclasses import replace

import pytest

from orchestrator.decide.actions import Finish, Say
from orchestrator.decide.placing import waits_for
from orchestrator.facts import State, fold_all
from workers.contract import facts as f
from workers.contract.broker.names import FENCE_MARGIN_S

FENCE_S = 10.0


@pytest.fixture
def found(world, load_activity):
    """Both shards are ready; that they were told to begin, if they were, is lost."""
    one = world(("only", load_activity))
    one.say(f.Submitted(campaign="c-1", text="", at_s=one.now_s))
    one.step()
    one.claim()
    one.seen = replace(one.seen, settles_s=one.now_s + 11)
    one.ready()
    return one


def test_nothing_begins_before_every_engine_of_before_was_heard_of_or_is_silent(found):
    found.now_s += 10.9
    found.renew()
    found.step()
    assert found.state.phases["only"].start_s is None
    found.step(after_s=0.1)
    assert found.state.phases["only"].start_s == pytest.approx(found.now_s, abs=1.0)


def test_an_attempt_of_before_begins_only_once_its_worker_was_heard_of_on_this_server(found):
    found.now_s += 10.9
    found.renew()
    found.seen = replace(found.seen, server_since_s=found.now_s + 0.05)
    found.step(after_s=0.2)
    assert found.state.phases["only"].start_s is None, "both were renewed on a server of before"
    found.renew()
    found.step()
    assert found.state.phases["only"].start_s is not None


def test_what_a_lost_attempt_of_before_tells_at_last_ends_the_campaign_too(found):
    found.say(f.Lost(attempt="steady:0:1", fence_s=0.0, why="no sign of worker a"))
    found.step(after_s=20)
    found.exit("steady:0:1", "stopped", dispatched=40, last_seq=4)
    found.step()
    assert found.state.aborting.torn


def test_who_watches_is_told_and_the_time_to_be_placed_does_not_run_meanwhile(world, load_activity):
    one = world(("only", load_activity), workers=(), top="place_within: 5s\n")
    one.say(f.Submitted(campaign="c-1", text="", at_s=one.now_s))
    one.step()
    one.seen = replace(one.seen, settles_s=one.now_s + 11)
    one.step(after_s=6)
    assert waits_for(one.state, one.plan, one.look(), one.now_s) == (
        "nothing begins for 5 s: Redis was restarted, and engines may work unheard of",
    )
    one.step(after_s=10)
    assert one.state.aborting is None
    one.step(after_s=0.1)
    assert "could not begin within 5 s" in one.state.aborting.why


def test_no_phase_is_opened_or_placed_meanwhile(world, load_activity):
    one = world(("only", load_activity))
    one.seen = replace(one.seen, settles_s=one.now_s + 11)
    one.say(f.Submitted(campaign="c-1", text="", at_s=one.now_s))
    one.step(after_s=10.9)
    assert not one.state.phases
    one.step(after_s=0.1)
    assert one.state.attempts


@pytest.mark.parametrize("how", ["snapshot", "died", "fault"])
def test_an_engine_that_has_begun_though_nobody_told_it_ends_the_campaign(found, how):
    if how == "snapshot":
        found.seen = replace(found.seen, seqs={"steady:0:1": 2})
    elif how == "died":
        found.exit("steady:0:1", "died", dispatched=2, last_seq=1)
    else:
        found.say(f.FaultSeen(attempt="steady:0:1", what="injected"))
    found.step()
    stop = found.state.aborting
    assert (stop.verdict, stop.torn) == ("invalid", True)
    assert stop.why.startswith("worker a has begun steady:0:1, and nobody told it to: Redis lost")
    assert stop.why.endswith("submit it again")


def test_one_that_died_while_it_got_ready_is_no_sign_of_that(found):
    found.exit("steady:1:1", "died", dispatched=1, last_seq=1)
    found.seen = replace(found.seen, seqs={"steady:1:1": 1})
    found.step()
    assert found.state.aborting is None


def test_an_attempt_that_nobody_placed_is_stopped_and_the_end_waits_for_its_fence(world, load_activity):
    one = world(("only", load_activity))
    one.say(f.Submitted(campaign="c-1", text="", at_s=one.now_s))
    one.say(f.Claimed(attempt="steady:0:1", worker="z", incarnation="z-1"))
    assert not any(isinstance(action, Say) and "placed" in action.id for action in one.decide())
    one.step()
    assert one.state.aborting.why.startswith("worker z has steady:0:1, which nobody placed")
    assert one.revoked == ["steady:0:1"]
    one.step(after_s=FENCE_S + FENCE_MARGIN_S - 0.1)
    assert Finish() not in one.decide()
    one.step(after_s=0.1)
    assert one.state.ended is not None


def test_what_is_written_again_in_another_order_makes_nobody_a_stranger(world, load_activity):
    one = world(("only", load_activity))
    one.begin()
    claims = [fact for fact in one.journal if isinstance(fact, f.Claimed)]
    one.state = fold_all(State(), [one.journal[0], *claims, *one.journal[1:]])
    one.step()
    assert one.state.strangers
    assert one.state.aborting is None
