"""Who watches a phase whose claims name alerts; the phase and its load need nobody to."""

import pytest

from orchestrator.decide.losses import WATCH_STOPS_WITHIN_S
from orchestrator.decide.watches import OVER, READY_WITHIN_S
from orchestrator.facts import Phase
from workers.contract import control
from workers.contract import facts as f
from workers.contract.broker.names import LEASE_S, WEBHOOK_LABEL
from workers.contract.spec import watch_key

KEY = watch_key("only")


@pytest.fixture
def watched(world, load_activity, card):
    """A leader over one load whose objective is an alert's silence."""

    def make(*workers, top=""):
        text = load_activity.replace("slos: [", "slos: ['alert(Down) never fires', ")
        assert "alert" in text
        fleet = workers or (card("a"), card("b"))
        monitor = "  alerts: {prometheus: 'http://127.0.0.1:9090'}\n"
        return world(("only", text), more_targets=monitor, fleet=fleet, top=top)

    return make


def stops(world):
    return [tell for tell in world.told if isinstance(tell.order, control.Stop)]


def watch_of(world):
    return world.state.last_attempt(KEY, 0)


def test_a_phase_that_names_an_alert_is_watched_and_starts_with_its_watch(watched):
    one = watched()
    one.begin()
    assert watch_of(one).status == "running"
    assert one.state.phases["only"].start_s is not None


def test_a_phase_that_names_none_is_watched_by_nobody(world, load_activity):
    one = world(("only", load_activity))
    one.begin()
    assert watch_of(one) is None


def test_a_worker_that_takes_webhooks_is_chosen_before_others(watched, card):
    one = watched(card("a"), card("b", labels=(WEBHOOK_LABEL,)), card("c"))
    one.begin()
    assert watch_of(one).worker == "b"


def test_the_watch_is_told_to_end_with_the_traffic_and_the_phase_waits_for_its_last_word(watched):
    one = watched()
    one.begin()
    for attempt in list(one.state.live.values()):
        if attempt.activity != KEY:
            one.exit(attempt.id)
    one.step()
    assert [(tell.order.attempt, tell.order.why) for tell in stops(one)] == [(f"{KEY}:0:1", OVER)]
    assert one.state.phases["only"].ended_s is None
    one.exit(f"{KEY}:0:1")
    one.step()
    assert one.state.phases["only"].verdict == "pass"
    assert list(one.state.shards[KEY, 0]) == [f"{KEY}:0:1"]


def test_a_lost_watch_begins_again_elsewhere_while_the_load_goes_on(watched):
    one = watched()
    one.begin()
    first = watch_of(one)
    one.now_s += LEASE_S + 0.1
    one.renew(but=[first.id])
    one.step()
    second = watch_of(one)
    assert (second.number, second.worker != first.worker) == (2, True)
    one.claim(second.id)
    one.ready(second.id)
    one.step()
    assert watch_of(one).status == "running"
    starts = {tell.order.attempt for tell in one.told if isinstance(tell.order, control.Start)}
    assert second.id in starts


def test_a_watch_that_every_worker_refuses_does_not_keep_the_phase_from_running(watched):
    one = watched()
    one.say(f.Submitted(campaign="c-1", text="", at_s=one.now_s))
    one.step()
    one.claim()
    for attempt in list(one.state.live.values()):
        if attempt.activity != KEY:
            one.ready(attempt.id)
    one.exit(f"{KEY}:0:1", "refused", why="not on the allow-list")
    one.step()
    assert one.state.phases["only"].start_s is None
    one.step(after_s=READY_WITHIN_S + 0.1)
    one.renew()
    one.step()
    assert one.state.phases["only"].start_s is not None
    assert one.state.aborting is None


def test_a_phase_that_must_begin_soon_does_not_wait_for_its_watch_until_it_is_too_late(watched):
    one = watched(top="place_within: 4s\n")
    one.say(f.Submitted(campaign="c-1", text="", at_s=one.now_s))
    one.step()
    one.claim()
    for attempt in list(one.state.live.values()):
        if attempt.activity != KEY:
            one.ready(attempt.id)
    one.step(after_s=2.1)
    assert one.state.phases["only"].start_s is not None


def test_a_watch_that_hangs_is_given_up_and_the_phase_ends(watched):
    one = watched()
    one.begin()
    for attempt in list(one.state.live.values()):
        if attempt.activity != KEY:
            one.exit(attempt.id)
    one.step()
    one.step(after_s=LEASE_S + 0.1)
    assert one.state.phases.get("only", Phase()).verdict == "pass"
    assert one.state.attempts[f"{KEY}:0:1"].lost is not None


def test_a_watch_that_is_renewed_and_never_ends_is_given_up_and_the_phase_ends(watched):
    one = watched()
    one.begin()
    watch = watch_of(one)
    one.now_s += WATCH_STOPS_WITHIN_S + 1.0
    one.renew()
    one.step()
    assert watch_of(one).live, "there is still something to watch"
    for attempt in list(one.state.live.values()):
        if attempt.id != watch.id:
            one.exit(attempt.id)
    for after_s, ended in ((WATCH_STOPS_WITHIN_S - 1.0, False), (2.0, True)):
        one.now_s += after_s
        one.renew()
        one.step()
        assert one.state.phases["only"].over is ended
    assert "did not end it within 60 s of the traffic" in one.state.attempts[watch.id].lost.why
    assert one.state.last_attempt(KEY, 0).id == watch.id
