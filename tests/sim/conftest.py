"""The rooms of the simulation are a package beside these tests: found here; and bad seeds are shown."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from simulated.simulation import simulate

MOST_LINES = 120


@pytest.fixture
def lived_well():
    """Lives through seeds; the first that breaks is told with its story and how to replay it."""

    def live(seeds, **given):
        stories = []
        for seed in seeds:
            story = simulate(seed, **given)
            if story.why:
                lines = simulate(seed, traces=True, **given).words().splitlines()
                more = f" --given '{json.dumps(given)}'" if given else ""
                pytest.fail(
                    f"seed {seed} breaks: {story.why}\n"
                    f"replay: .venv/bin/python tests/sim --seed {seed} --trace{more}\n"
                    + "\n".join(lines[-MOST_LINES:]),
                    pytrace=False,
                )
            stories.append(story)
        return stories

    return live
