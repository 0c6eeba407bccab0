from dataclasses import replace

from msgspec import structs

from orchestrator.decide.placing import waits_for
from orchestrator.placement.eligible import Rules
from workers.contract import facts as f


def test_a_draining_worker_gets_nothing_new(world, card, load_activity):
    one = world(("only", load_activity), fleet=[card("a", draining=True), card("b")])
    one.say(f.Submitted(campaign="c-1", text=""))
    one.step()
    assert {attempt.worker for attempt in one.state.attempts.values()} == {"b"}


def test_a_campaign_whose_turn_has_not_come_opens_nothing_and_its_time_to_be_placed_does_not_run(
    world, load_activity
):
    one = world(("only", load_activity))
    one.seen = replace(one.seen, queued="waits for campaign other-1 (by ada)")
    one.say(f.Submitted(campaign="c-1", text=""))
    one.step()
    one.step(after_s=3600)
    assert not one.state.phases
    assert one.state.aborting is None
    one.seen = replace(one.seen, queued="")
    one.step()
    assert one.state.phases["only"].opened_s == one.now_s


def test_what_a_campaign_waits_for_is_said_where_its_time_is_over_before_its_turn(world, load_activity):
    one = world(("only", load_activity))
    one.seen = replace(one.seen, queued="waits for campaign other-1 (by ada)")
    one.say(f.Submitted(campaign="c-1", text="", max_time_s=60.0, at_s=one.now_s))
    one.step()
    one.step(after_s=61)
    assert one.state.aborting.why == (
        "stopped by --max-time 1m, before it began: waits for campaign other-1 (by ada)"
    )
    assert one.state.ended is not None


def test_a_worker_of_another_version_gets_nothing_at_first_or_later(world, card, load_activity):
    old, new = (structs.replace(card(name), version=version) for name, version in (("a", "1"), ("b", "2")))
    one = world(("only", load_activity), fleet=[old, new])
    one.seen = replace(one.seen, rules=Rules(version="2"))
    one.begin()
    assert {attempt.worker for attempt in one.state.attempts.values()} == {"b"}
    one.exit("steady:0:1", "died")
    one.step(after_s=1)
    assert one.state.last_attempt("steady", 0).worker == "b"


def test_a_phase_that_found_no_place_says_who_has_the_slots_and_who_may_not(world, card, load_activity):
    fleet = [
        structs.replace(card(name, slots=1), version=version) for name, version in (("a", "1"), ("b", "2"))
    ]
    one = world(("only", load_activity), fleet=fleet)
    one.seen = replace(one.seen, rules=Rules(version="2"), busy={"b": 1}, held_by={"b": ("another-1",)})
    one.say(f.Submitted(campaign="c-1", text=""))
    one.step()
    one.step(after_s=61)
    assert one.state.aborting.why.endswith(
        "steady: 2 shards need 2 slots, 0 are free on 1 worker (b: 0 of 1 free); "
        "busy with campaign another-1; 1 more worker may not: nearest is a, which is version 1, not 2"
    )


def test_a_phase_that_cannot_be_placed_in_time_is_invalid_and_names_what_is_missing(world, load_activity):
    needs = load_activity + "        where: {label: fast, gpus: 2}\n"
    one = world(("only", needs))
    one.say(f.Submitted(campaign="c-1", text=""))
    one.step()
    one.step(after_s=59)
    assert one.state.aborting is None
    one.step(after_s=2)
    assert one.state.aborting.verdict == "invalid"
    assert "label fast, 2 or more GPUs" in one.state.aborting.why
    assert "nearest is a, which has no label fast, has 0 of 2 GPUs" in one.state.aborting.why
    assert one.state.ended is not None


def test_a_phase_that_waits_for_its_target_says_so_when_its_time_is_over(world, load_activity):
    one = world(("only", load_activity), top="place_within: 20s\n")
    one.say(f.Submitted(campaign="c-1", text=""))
    one.step()
    one.claim()
    for attempt in one.sent:
        one.say(f.NotReady(attempt=attempt, why="it does not answer yet"))
    one.now_s += 21
    one.renew()
    one.step()
    assert "steady on worker a, target chat: it does not answer yet" in one.state.aborting.why


def test_a_worker_that_has_not_asked_the_target_yet_blames_no_target(world, load_activity):
    one = world(("only", load_activity), top="place_within: 20s\n")
    one.say(f.Submitted(campaign="c-1", text=""))
    one.step()
    one.claim()
    one.now_s += 21
    one.renew()
    one.step()
    assert "steady on worker a, target chat: the worker was still starting it" in one.state.aborting.why


def test_a_phase_without_a_place_says_so_while_it_waits_and_not_once_it_has_one(world, card, load_activity):
    one = world(("only", load_activity), fleet=[card("a", slots=2)])
    one.seen = replace(one.seen, busy={"a": 2}, held_by={"a": ("another-1",)})
    one.say(f.Submitted(campaign="c-1", text=""))
    one.step()
    (why,) = waits_for(one.state, one.plan, one.look(), one.now_s)
    assert why == (
        "steady: 2 shards need 2 slots, 0 are free on 1 worker (a: 0 of 2 free); busy with campaign another-1"
    )
    one.seen = replace(one.seen, busy={}, held_by={})
    one.step(after_s=1)
    assert waits_for(one.state, one.plan, one.look(), one.now_s) == ()


def test_a_shard_that_lost_its_place_says_so_while_nobody_can_take_it(world, card, load_activity):
    one = world(("only", load_activity), fleet=[card("a", slots=2)])
    one.begin()
    one.fleet.clear()
    one.exit("steady:0:1", "died")
    one.step(after_s=1)
    assert waits_for(one.state, one.plan, one.look(), one.now_s) == (
        "steady: 1 shard without a place: no worker that fits is free",
    )


def test_a_shard_does_not_go_on_where_a_host_feels_a_fault_as_a_whole_until_the_fault_is_over(
    world, card, load_activity, chaos_activity
):
    wide = chaos_activity.replace("pause-process", "cpu").replace("match: {port: 8000}", "with: {load: 50%}")
    one = world(("only", load_activity + wide), fleet=[card(name) for name in ("a", "b", "c")])
    one.begin()
    faulted = one.state.last_attempt("hang", 0)
    (other, *_) = [
        attempt
        for attempt in one.state.live.values()
        if attempt.activity == "steady" and attempt.worker != faulted.worker
    ]
    left = {"a", "b", "c"} - {faulted.worker, other.worker}
    for name in left:
        del one.fleet[name]
    one.fleet[other.worker] = structs.replace(one.fleet[other.worker], slots=1)
    lost = next(a for a in one.state.live.values() if a.activity == "steady" and a.worker in left)
    one.exit(lost.id, "died")
    one.step(after_s=0.5)
    assert one.state.last_attempt("steady", lost.shard).id == lost.id
    (why,) = waits_for(one.state, one.plan, one.seen, one.now_s)
    assert why.endswith(f"host {faulted.host} feels the fault of hang")
    one.exit(faulted.id, "done")
    one.step(after_s=0.5)
    assert one.state.last_attempt("steady", lost.shard).worker == faulted.worker
