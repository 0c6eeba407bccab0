"""What the timeline says of shards that change hands."""

from types import SimpleNamespace

import pytest

from orchestrator.facts import State, fold
from orchestrator.report.sections.timeline import timeline
from workers.contract import facts as f

START_S = 1000.0


def placed(number, worker):
    return f.Placed(
        attempt=f"peak:0:{number}", phase="p", activity="peak", shard=0, of=1, number=number, worker=worker,
        incarnation=worker, at_s=START_S,
    )  # fmt: skip


@pytest.fixture
def rows():
    """Facts to (tone, text) of the timeline."""

    def tell(*facts):
        state = State()
        for fact in facts:
            state = fold(state, fact)
        journal = [SimpleNamespace(fact=fact) for fact in facts]
        found = timeline({}, SimpleNamespace(state=state, journal=journal, started_s=START_S, phases=()))
        return [(tone, text) for _, _, tone, text in found["rows"]]

    return tell


def test_a_hand_over_is_told_step_by_step_and_nothing_of_it_is_bad(rows):
    told = rows(
        placed(1, "atlas"),
        f.PhaseStarted(phase="p", start_s=START_S),
        f.Draining(attempt="peak:0:1", why="asked by ada: a new kernel"),
        placed(2, "borea"),
        f.Ready(attempt="peak:0:2"),
        f.HandedOver(attempt="peak:0:1", until_s=12.3),
        f.Yielded(attempt="peak:0:1", until_s=12.3),
        f.Resumed(attempt="peak:0:2", from_s=12.3),
        f.Exited(attempt="peak:0:1", outcome="stopped", why="handed over"),
    )
    old, new = "peak, attempt 1 on worker atlas,", "peak, attempt 2 on worker borea,"
    assert told[1:] == [
        ("plain", f"{old} is to be handed over, its worker drains, asked by ada: a new kernel"),
        ("plain", f"{old} hands over: it begins nothing from 12.3 s of the phase on"),
        ("plain", f"{new} goes on from 12.3 s of the phase"),
        ("plain", f"{old} is over: handed over"),
    ]


def test_a_load_that_was_stopped_without_a_successor_is_told_as_the_loss_that_it_is(rows):
    why = "draining: no successor was ready within 10 s"
    told = rows(
        placed(1, "atlas"),
        f.PhaseStarted(phase="p", start_s=START_S),
        f.Draining(attempt="peak:0:1"),
        f.Exited(attempt="peak:0:1", outcome="stopped", why=why),
    )
    assert told[-1] == ("bad", f"peak, attempt 1 on worker atlas, stopped: {why}")
