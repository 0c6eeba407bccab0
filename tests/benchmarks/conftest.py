"""The benchmarks are scripts, not a package: here they are found as when one of them runs."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """Import one by its name; all are forgotten again."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield import_module
    for path in BENCHMARKS.glob("*.py"):
        sys.modules.pop(path.stem, None)
