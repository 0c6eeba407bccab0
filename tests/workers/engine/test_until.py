"""A load that is handed over begins nothing from the moment that it promised, and waits for its answers."""

import time

import pytest

from workers.contract.behaviour import Sessions
from workers.contract.data import Fixed, SyntheticData
from workers.contract.schedule import ClosedArrivals, OpenArrivals, Segment, blocks
from workers.contract.spec import TargetSpec
from workers.engine import wire
from workers.engine.until import SURE_NS, Until

SOON_S = 5.0
"""For what takes a fraction of a second on an idle machine."""


def begun(child, *, in_s=0.2, from_s=0.0):
    child.listen(wire.Prepared)
    child.authorise(60)
    return child.begin(in_s=in_s, from_s=from_s)


def hand_over(child, until_s):
    """Tell it, and what it promised, in nanoseconds."""
    child.say(wire.HandOver(until_s))
    return round(child.listen(wire.Yielded).until_s * 1e9)


def indices_before(spec, until_ns):
    return [
        int(index)
        for block in blocks(spec.arrivals)
        for index, at_ns in zip(block.indices, block.times_ns, strict=True)
        if at_ns < until_ns
    ]


def test_a_promise_is_never_of_the_past_and_stays_as_it_was_given():
    until = Until()
    assert not until.is_set
    assert until.promise(5_000, now_ns=9_000) == 9_000 + SURE_NS
    assert until.promise(70_000, now_ns=9_000) == 9_000 + SURE_NS
    assert Until().promise(70_000, now_ns=9_000) == 70_000


def test_two_engines_share_a_schedule_at_a_moment_and_every_arrival_is_sent_once(demo, engine, load):
    target = demo("--service-time", "2ms")
    spec = load(target.url, rate=200.0, duration_s=3.0)
    old, new = engine(spec), engine(spec, number=2)
    new.listen(wire.Prepared)
    start_ns = begun(old)
    promised_ns = hand_over(old, 1.5)
    assert promised_ns == 1_500_000_000
    new.authorise(60)
    new.say(wire.Begin(start_ns, promised_ns / 1e9, 0.0))
    end = old.finished()
    assert (end.outcome, end.why) == ("stopped", "handed over")
    assert end.dispatched == len(indices_before(spec, promised_ns))
    assert new.finished().outcome == "done"
    assert target.indices() == indices_before(spec, 3e9)
    by_old = sorted(int(name.split("/")[1]) for name in target.ids() if name.endswith("/1"))
    assert by_old == indices_before(spec, promised_ns)
    assert sum(old.outcomes().values()) + sum(new.outcomes().values()) == len(target.ids())


def test_an_order_that_comes_late_is_promised_from_now_on_and_kept(demo, engine, load):
    target = demo("--service-time", "2ms")
    spec = load(target.url, rate=200.0, duration_s=30.0)
    child = engine(spec)
    begun(child)
    child.listen(wire.Taken)
    promised_ns = hand_over(child, 0.1)
    assert promised_ns > 1e9, "a second had passed"
    assert hand_over(child, 0.2) == promised_ns, "once given it stays"
    end = child.finished(within_s=SOON_S)
    assert target.indices() == indices_before(spec, promised_ns)
    assert end.dispatched == len(target.indices())


def test_an_engine_whose_next_arrival_is_a_minute_away_is_handed_over_at_once(demo, engine, load):
    target = demo("--service-time", "2ms")
    segments = (Segment(0.0, 600.0, 1 / 60, 1 / 60, "whole"),)
    child = engine(load(target.url, arrivals=OpenArrivals("constant", segments, 7, "peak/surge")))
    begun(child)
    child.listen(wire.Taken)
    hand_over(child, 2.0)
    assert child.finished(within_s=SOON_S).why == "handed over"


def test_answers_under_way_are_waited_for(demo, engine, load):
    target = demo("--service-time", "800ms")
    spec = load(target.url, rate=50.0, duration_s=30.0)
    child = engine(spec)
    begun(child)
    promised_ns = hand_over(child, 0.5)
    end = child.finished(within_s=2 * SOON_S)
    assert child.outcomes() == {"ok": len(indices_before(spec, promised_ns))}
    assert end.dispatched == len(target.ids())


def test_users_that_think_are_not_waited_for_and_begin_nothing_more(demo, engine, load):
    target = demo("--service-time", "2ms")
    users = ClosedArrivals(users=8, think_s=2.0, duration_s=60.0)
    child = engine(load(target.url, arrivals=users))
    start_ns = begun(child)
    promised_ns = hand_over(child, 1.5)
    assert child.finished(within_s=SOON_S).why == "handed over"
    came_ns = [int(str(line["received_ns"])) for line in target.lines("received")]
    assert len(came_ns) == 8
    assert max(came_ns) < start_ns + promised_ns + 1e9
    assert child.outcomes() == {"ok": 8}


def test_users_in_the_middle_of_a_ramp_are_handed_over_too(demo, engine, load):
    target = demo("--service-time", "2ms")
    users = ClosedArrivals(users=4, think_s=0.1, duration_s=60.0, ramp_s=60.0)
    child = engine(load(target.url, arrivals=users))
    begun(child)
    hand_over(child, 0.4)
    assert child.finished(within_s=SOON_S).why == "handed over"


@pytest.mark.parametrize("closed", [False, True])
def test_conversations_that_have_begun_go_on_to_their_last_turn_and_no_new_one_begins(
    demo, engine, load, closed
):
    target = demo("--ttft", "2ms", "--gap", "1ms", "--tokens", "2")
    options = {"url": target.url, "model": "demo"}
    of_chat = TargetSpec("t", "openai-chat", target.url, options, 5.0)
    arrivals = ClosedArrivals(users=5, think_s=0.05, duration_s=60.0) if closed else None
    spec = load(
        target.url, target=of_chat, arrivals=arrivals, rate=20.0, duration_s=60.0,
        sessions=Sessions(3, 0.3), data=SyntheticData(Fixed(4), Fixed(2)),
    )  # fmt: skip
    child = engine(spec)
    begun(child)
    hand_over(child, 1.5)
    end = child.finished(within_s=2 * SOON_S)
    assert end.why == "handed over"
    turns = [index % 3 for index in target.indices()]
    assert turns.count(0) == turns.count(1) == turns.count(2) > 0
    assert child.snapshots[-1].sessions.waiting == 0


def test_an_engine_that_has_not_begun_has_nothing_to_hand_over(demo, engine, load):
    child = engine(load(demo().url))
    child.listen(wire.Prepared)
    child.say(wire.HandOver(1.0))
    end = child.finished(within_s=SOON_S)
    assert (end.outcome, end.why, end.dispatched) == ("stopped", "handed over", 0)


def test_a_halt_ends_what_is_being_handed_over_at_once(demo, engine, load):
    target = demo("--service-time", "4s")
    child = engine(load(target.url, rate=50.0, duration_s=30.0))
    begun(child)
    hand_over(child, 0.3)
    began_s = time.monotonic()
    child.say(wire.Halt("enough"))
    assert child.finished(within_s=SOON_S).why == "enough"
    assert time.monotonic() - began_s < 3.0
