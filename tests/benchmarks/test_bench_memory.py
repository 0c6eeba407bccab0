"""An engine does not keep what failed requests said: the benchmark of its memory, for a short while."""

import re
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "bench_memory.py"
WITHIN_S = 120
GROWTH_MIB = 20.0


def test_error_texts_that_all_differ_do_not_grow_an_engine():
    ran = subprocess.run(
        [sys.executable, str(BENCHMARK), "12"], capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert ran.returncode == 0, ran.stderr
    requests, growth = re.match(r"([\d,]+) requests, .*; growth ([\d.]+) MiB", ran.stdout).groups()
    assert int(requests.replace(",", "")) > 1_000
    assert float(growth) <= GROWTH_MIB
