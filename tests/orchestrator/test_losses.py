from orchestrator.facts import State, fold
from orchestrator.losses import heard_since_loss
from workers.contract import facts as f


def placed(attempt, worker, incarnation):
    return f.Placed(
        attempt=attempt, phase="only", activity="steady", shard=0, of=1, number=1,
        worker=worker, incarnation=incarnation,
    )  # fmt: skip


def test_a_worker_that_was_lost_gets_nothing_until_it_speaks_again():
    state = fold(State(), placed("steady:0:1", "a", "one"))
    state = fold(state, f.Lost(attempt="steady:0:1", fence_s=20.0, why="silent", at_s=10.0))
    silent = f.WorkerCard(worker="a", incarnation="one", host="h", version="0", slots=1, seen_s=9.0)
    other = f.WorkerCard(worker="b", incarnation="two", host="h", version="0", slots=1, seen_s=9.0)
    assert heard_since_loss(state, (silent, other)) == (other,)
    back = f.WorkerCard(worker="a", incarnation="one", host="h", version="0", slots=1, seen_s=10.5)
    anew = f.WorkerCard(worker="a", incarnation="three", host="h", version="0", slots=1, seen_s=9.9)
    assert heard_since_loss(state, (back, anew)) == (back, anew)
