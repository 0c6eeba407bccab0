"""Two minutes of torture: the same that `make torture` does for ten."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS, BLOWS = 100, 12
ENDS_WITHIN_S = 900.0
"""Two minutes here, of which the start, the last campaigns and the end take more on a slower machine."""

STOPS_WITHIN_S = 20.0


@pytest.mark.timeout(ENDS_WITHIN_S + 30)
def test_whatever_is_killed_every_campaign_ends_and_every_number_holds(tmp_path: Path) -> None:
    folder = tmp_path / "torture"
    argv = [sys.executable, "-m", "tests.torture", "--seconds", str(SECONDS), "--blows", str(BLOWS)]
    with (tmp_path / "said.txt").open("w") as file:
        process = subprocess.Popen(
            [*argv, "--folder", str(folder), "--keep"], cwd=ROOT, stdout=file, stderr=file
        )
        try:
            code = process.wait(ENDS_WITHIN_S)
        finally:
            process.terminate()  # it ends all that it has started
            process.wait(STOPS_WITHIN_S)
    assert code == 0, (tmp_path / "said.txt").read_text()
