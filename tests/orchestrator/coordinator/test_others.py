"""Two campaigns of one leader: load of the one keeps away from hosts that feel a fault of the other."""

from dataclasses import dataclass

import pytest

from orchestrator.coordinator.others import beside
from orchestrator.decide.placing import doing, slots_held
from orchestrator.decide.seen import Seen
from workers.contract import facts as f


@dataclass
class Run:
    """What is read of a live campaign, over a real leader's memory of it."""

    id: str
    world: object

    @property
    def slots_held(self):
        return slots_held(self.world.state, self.world.plan)

    @property
    def doing(self):
        return doing(self.world.state, self.world.plan, campaign=self.id)


@pytest.fixture
def faulted(world, load_activity, chaos_activity):
    """A campaign with load on one host and, on another, a fault that all of it feels."""
    wide = chaos_activity.replace("pause-process", "cpu").replace("match: {port: 8000}", "with: {load: 50%}")
    narrow = load_activity.replace("shards: 2", "shards: 1")
    one = world(("only", narrow + wide))
    one.begin()
    return one


def test_what_others_hold_is_known_by_worker_and_by_host(faulted):
    found = beside([Run("c-1", faulted)])
    load, hang = (faulted.state.last_attempt(key, 0) for key in ("steady", "hang"))
    assert found.busy == {load.worker: 1}
    assert found.held_by == {load.worker: ("c-1",)}
    assert found.doing.loads == {load.host: "steady of campaign c-1"}
    assert found.doing.faults == {hang.host: "hang of campaign c-1"}


def test_the_load_of_another_campaign_goes_where_no_fault_of_the_first_is_felt(faulted, world, load_activity):
    others = beside([Run("c-1", faulted)])
    hang = faulted.state.last_attempt("hang", 0)
    second = world(("only", load_activity.replace("shards: 2", "shards: 1")))
    second.seen = Seen(busy=others.busy, held_by=others.held_by, beside=others.doing)
    second.begin()
    assert second.state.last_attempt("steady", 0).host != hang.host


def test_a_journal_that_names_what_no_plan_has_breaks_nobody_who_asks(faulted):
    before = beside([Run("c-1", faulted)])
    faulted.say(
        f.Placed(attempt="no:0:1", phase="only", activity="nobody-knows-this", shard=0, of=1, number=1,
                 worker="w", incarnation="i", host="h"),
        "poison",
    )  # fmt: skip
    assert "no:0:1" in faulted.state.live
    assert beside([Run("c-1", faulted)]) == before
