"""The page of the benchmarks is what the saved results say."""

import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "benchmarks" / "page.py"


def test_the_page_and_its_pictures_are_what_the_results_say():
    ran = subprocess.run(
        [sys.executable, str(PAGE), "--check"], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_page_without_any_results_says_so(script):
    page = script("page")
    ((path, text),) = page.written(dict.fromkeys(page.NAMES))
    assert path == page.PAGE
    assert text.count("Not measured yet.") == 4


def test_bars_are_as_long_as_their_values(script):
    bars = script("bars")
    text = bars.chart(
        "CPU", [bars.Bar("a", 2.0, "2 µs", ours=True), bars.Bar("b", 4.0, "4 <µs>")], note="less is better"
    )
    assert 'width="205.0"' in text
    assert 'width="410.0"' in text
    assert "4 &lt;µs&gt;" in text
