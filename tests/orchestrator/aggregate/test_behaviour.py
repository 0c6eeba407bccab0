from orchestrator.aggregate.behaviour import with_retries, with_sessions
from orchestrator.aggregate.parts import encode_part, restore
from orchestrator.aggregate.totals import Aggregate, combined
from workers.contract.snapshot import RetryCounts, SessionCounts

ONE = RetryCounts({1: 5, 2: 1}, {"http_503": 1}, {"budget": 2}, written=7, opened=1, held_back=3)
OTHER = RetryCounts({2: 2}, {"reset": 2}, {"budget": 1}, written=4)
BOTH = RetryCounts(
    {1: 5, 2: 3}, {"http_503": 1, "reset": 2}, {"budget": 3}, written=11, opened=1, held_back=3
)
TALK = SessionCounts(begun=5, whole=2, broken={2: 1}, over=1, offered=12, waiting=1)
MORE = SessionCounts(begun=1, whole=1, broken={2: 1, 3: 1}, offered=15, waiting=0)


def test_tries_add_up_in_any_order():
    assert with_retries(ONE, OTHER) == with_retries(OTHER, ONE) == BOTH
    assert with_retries(None, ONE) == with_retries(ONE, None) == ONE
    assert with_retries(None, None) is None


def test_conversations_add_up_but_for_what_stands_for_itself():
    total = with_sessions(TALK, MORE)
    assert (total.begun, total.whole, total.broken, total.over) == (6, 3, {2: 2, 3: 1}, 1)
    assert with_sessions(None, None) is None


def test_counts_survive_being_combined_and_a_checkpoint(snapshot):
    reports = [snapshot(1, retries=ONE, sessions=TALK), snapshot(2, retries=OTHER, sessions=MORE)]
    whole = Aggregate()
    for one in reports:
        whole.of("load").note(one)
    whole.of("load").add(combined(reports))
    restored = restore([encode_part(whole)]).of("load")
    for totals in (whole.of("load"), restored):
        assert totals.retries == BOTH
        assert totals.sessions.broken == {2: 2, 3: 1}
        assert (totals.attempts["load:0:1"].offered, totals.attempts["load:0:1"].waiting) == (15, 0)


def test_a_load_without_such_clients_has_no_counts(snapshot):
    whole = Aggregate()
    whole.absorb(snapshot(1))
    assert (whole.of("load").retries, whole.of("load").sessions) == (None, None)
