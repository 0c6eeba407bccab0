from dataclasses import replace

from orchestrator.facts import Attempt
from orchestrator.plan import ActivityPlan, Where
from orchestrator.report.capacity import held_back, limited_by
from workers.contract.facts import WorkerCard
from workers.contract.schedule import ClosedArrivals, OpenArrivals, Segment


def plan(arrivals):
    return ActivityPlan(
        key="load", name="load", phase="p", kind="load", target="chat", where=Where(), shards=1,
        needs_engine=True, arrivals=arrivals,
    )  # fmt: skip


CLOSED = plan(ClosedArrivals(4, 0.0, 9.0))
OPEN = plan(OpenArrivals("constant", (Segment(0.0, 9.0, 20.0, 20.0),), 1, "x"))


def test_a_load_that_a_ceiling_slowed_is_told_so():
    assert held_back(CLOSED, 14.8, 15.0) == (
        "it was held to 15/s, its part of the ceiling on target chat (rate_limit, or the operator's "
        "--target-limit): it may have sent more without that"
    )
    assert held_back(OPEN, 29.0, 30.0) != "", "its tries were"


def test_a_load_below_its_ceiling_and_a_schedule_just_at_it_are_not():
    assert held_back(CLOSED, 9.0, 15.0) == ""
    assert held_back(CLOSED, 9.0, None) == ""
    assert held_back(OPEN, 20.0, 21.0) == ""


def test_workers_that_have_a_limit_of_their_own_are_named_with_each_slots_part():
    fleet = [
        WorkerCard("a", "one", "h", "", 4, target_limits={"chat.test:80": 100.0}),
        WorkerCard("b", "one", "h", "", 4, target_limits={"chat.test:81": 100.0}),
        WorkerCard("c", "one", "h", "", 4, target_limits={"chat.test:80": 1.0}),
    ]
    attempts = [
        Attempt(f"load:{n}:1", "p", "load", n, 2, 1, name, "one", "h", 0.0) for n, name in enumerate("ab")
    ]
    aimed = replace(CLOSED, address="chat.test:80")
    assert limited_by(aimed, attempts, fleet) == (
        "workers' own --target-limit for chat.test:80 holds each slot: a 25/s"
    )
    assert limited_by(CLOSED, attempts, fleet) == ""
