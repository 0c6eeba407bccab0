"""Where the arrivals of a shard went that changed hands."""

import pytest

from orchestrator.aggregate.accounting import account_open
from orchestrator.aggregate.totals import ActivityTotals
from orchestrator.facts import Attempt
from workers.contract import facts as f
from workers.contract.schedule import OpenArrivals, Segment, shard_blocks
from workers.contract.snapshot import JUDGED, Cell, Snapshot

START_S = 1000.0
ARRIVALS = OpenArrivals("poisson", (Segment(0.0, 8.0, 6.0, 6.0),), 1, "load")
SENDS = [
    (int(index), int(at_ns) / 1e9)
    for block in shard_blocks(ARRIVALS, shard=0, of=1)
    for index, at_ns in zip(block.indices, block.times_ns, strict=True)
]
MOST = 10**6


@pytest.fixture
def told():
    """What two attempts at one shard reported: arrivals of the first, then of the second."""

    def make(*parts):
        totals = ActivityTotals()
        for number, part in enumerate(parts, start=1):
            cells = [Cell(int(at_s), JUDGED, {"ok": 1}, {}, {}) for _, at_s in part]
            last = part[-1][0] + 1
            totals.absorb(Snapshot("load", 0, f"load:0:{number}", 1, 0.0, last, 0, [], cells))
        return totals

    return make


def attempt(number, from_s, outcome, *, dispatched=MOST, why=""):
    name = f"load:0:{number}"
    end = f.Exited(attempt=name, outcome=outcome, dispatched=dispatched, why=why)
    return Attempt(
        name, "p", "load", 0, 1, number, "w", "one", "h", START_S, status="over", from_s=from_s, exited=end
    )


def account(attempts, totals, **given):
    return account_open(ARRIVALS, warmup_s=0.0, start_s=START_S, shards=[attempts], totals=totals, **given)


def test_a_shard_that_was_done_with_its_rows_is_so_though_a_successor_stood_ready(told):
    pair = [attempt(1, 0.0, "done", dispatched=20), attempt(2, None, "stopped", dispatched=0)]
    ended = account(pair, told(SENDS[:20]), ends_with_data=True)
    assert (ended.scheduled.total(), ended.unknown.total(), ended.gaps) == (20, 0, [])


def test_a_hand_over_at_a_moment_between_two_arrivals_leaves_no_gap(told):
    edge_s = SENDS[20][1]
    old = attempt(1, 0.0, "stopped", dispatched=20, why="handed over")
    found = account([old, attempt(2, edge_s, "done")], told(SENDS[:20], SENDS[20:]))
    assert (found.unsent.total(), found.unknown.total(), found.twice, found.gaps) == (0, 0, 0, [])


def test_a_successor_that_came_late_leaves_a_gap_that_says_why(told):
    edge_s, late_s = SENDS[20][1], SENDS[25][1]
    old = attempt(1, 0.0, "stopped", dispatched=20, why="handed over")
    found = account([old, attempt(2, late_s, "done")], told(SENDS[:20], SENDS[25:]))
    (gap,) = found.gaps
    assert (gap.from_s, gap.until_s, gap.unsent, gap.unknown, gap.why) == (
        edge_s, late_s, 5, 0, "handed over",
    )  # fmt: skip
    assert found.unknown.total() == found.twice == 0
