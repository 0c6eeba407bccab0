import pytest

from workers.contract.bounds import BoundCount
from workers.contract.sketch import sketch_of, to_wire
from workers.contract.snapshot import Cell, Snapshot


@pytest.fixture
def cell():
    """Deltas of one second: outcomes by name, and the latencies behind them."""

    def make(second, group="", *, latencies=(), bounds=None, **outcomes):
        sketches = {"latency": to_wire(sketch_of(latencies))} if latencies else {}
        counts = {name: BoundCount(*count) for name, count in (bounds or {}).items()}
        return Cell(second, group, outcomes, counts, sketches)

    return make


@pytest.fixture
def snapshot():
    """One report of the first attempt at the first shard of `load`, unless told."""

    def make(seq, cells=(), *, attempt="load:0:1", dispatched=0, in_flight=(), **given):
        return Snapshot("load", 0, attempt, seq, 0.0, dispatched, 0, list(in_flight), list(cells), **given)

    return make
