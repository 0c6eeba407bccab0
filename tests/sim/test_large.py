"""A thousand workers and ten thousand shards through `decide` and `fold` alone, to the end."""

from collections import Counter

from simulated.crowd import Crowd

WORKERS = 1_000


def test_ten_thousand_shards_on_a_thousand_workers_run_to_their_end():
    crowd = Crowd(workers=WORKERS, slots=10, shards=10 * WORKERS)
    crowd.live()
    assert crowd.state.ended is not None
    assert len(crowd.state.attempts) == 10 * WORKERS
    assert Counter(one.worker for one in crowd.state.attempts.values()).most_common(1)[0][1] == 10
    assert {one.exited.outcome for one in crowd.state.attempts.values()} == {"done"}


def test_of_a_thousand_workers_a_tenth_may_be_lost():
    crowd = Crowd(workers=WORKERS, slots=2, shards=WORKERS, killed=WORKERS // 10)
    crowd.live()
    lost = [one for one in crowd.state.attempts.values() if one.lost is not None]
    assert len(lost) == WORKERS // 10
    for one in lost:
        successor = crowd.state.last_attempt(one.activity, one.shard)
        assert successor.exited.outcome == "done"
        assert successor.worker != one.worker
        assert crowd.start_s + successor.from_s >= one.lost.fence_s
