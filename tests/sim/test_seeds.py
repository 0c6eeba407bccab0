"""Two thousand stories of campaigns to which everything happens: what must hold holds in each of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SEEDS = 2_000
BLOCK = 100
HERE = Path(__file__).parent


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_whatever_goes_wrong_no_arrival_is_offered_twice_and_every_campaign_ends(lived_well, first):
    stories = lived_well(range(first, first + BLOCK))
    assert sum(story.offered for story in stories) > 0
    assert sum(len(story.misfortunes) for story in stories) > BLOCK
    assert any(story.unknown or story.unsent for story in stories), "nothing was ever lost"
    assert any(story.successors for story in stories), "nobody ever took over"


def test_where_nothing_goes_wrong_everything_is_sent_and_seen(lived_well):
    for story in lived_well(range(60), calm=True):
        assert story.offered == story.sent > 0
        assert (story.unknown, story.unsent, story.successors) == (0, 0, 0)


def test_a_drained_worker_leaves_no_gap_where_nothing_else_goes_wrong(lived_well):
    stories = lived_well(range(30), theme=("drain",), most=1, shapes=("load-1",), workers=3)
    assert sum(story.successors for story in stories) > 5
    assert sum(story.unknown + story.unsent for story in stories) == 0


def test_a_seed_tells_the_same_story_in_any_process():
    said = set()
    for number in ("1", "2"):
        done = subprocess.run(
            [sys.executable, str(HERE), "--seed", "11", "--trace"],
            env={**os.environ, "PYTHONHASHSEED": number},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        said.add(done.stdout)
    assert len(said) == 1
    assert "Submitted" in said.pop()
