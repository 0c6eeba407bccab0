import pytest

from orchestrator.placement.ceilings import NOTHING_KNOWN, Ground, Holding
from orchestrator.placement.eligible import ANYTHING_GOES, Rules
from orchestrator.placement.queue import Contender
from orchestrator.plan import plan_of
from orchestrator.preview.beside import beside_of

OTHER = Contender(
    id="peak-1", by="ada", seed=1, priority=0, submitted_s=1.0, begun=True, shares=False,
    holdings=(Holding(("chat",), frozenset({"127.0.0.1:8000"}), "http://127.0.0.1:8000"),),
)  # fmt: skip


@pytest.fixture
def looked_at(campaign_of, load_activity):
    """One load of 20/s beside what is there."""

    def look(*fleet, top="", live=(), rules=ANYTHING_GOES, ground=NOTHING_KNOWN):
        campaign = campaign_of(("p", load_activity), top=top)
        plan = plan_of(campaign, seed=1)
        return beside_of(campaign, plan, fleet=fleet, rules=rules, live=live, ground=ground)

    return look


def test_a_plan_says_who_holds_its_target_now(looked_at):
    assert looked_at().waits == ""
    found = looked_at(live=[OTHER], top="priority: 3\n")
    assert found.waits == "waits for campaign peak-1 (by ada), which holds target http://127.0.0.1:8000"
    assert (found.priority, found.share_target) == (3, False)


def test_a_plan_says_what_ceilings_hold_it_and_whose_they_are(looked_at):
    assert looked_at().ceilings == ()
    (one,) = looked_at(ground=Ground(limits={"127.0.0.1:8000": 50.0})).ceilings
    assert (one.targets, one.per_s, one.operator) == (("chat",), 50.0, True)
    assert (one.planned_per_s, one.asks_per_s, one.parts) == (20.0, 20.0, {"steady": 50.0})
    assert (
        "limits http://127.0.0.1:8000 to 5/s"
        in looked_at(ground=Ground(limits={"127.0.0.1:8000": 5.0})).refused
    )


def test_a_plan_names_the_hosts_that_nobody_measured_where_that_counts(looked_at, card):
    fleet = [card("a"), card("b"), card("c", draining=True)]
    assert looked_at(*fleet, rules=Rules(sized=True)).uncalibrated == ("host-a", "host-b")
    assert looked_at(*fleet).uncalibrated == ()
