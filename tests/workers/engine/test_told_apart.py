"""A real engine's groups: segments of its data's tags, also for arrivals that were never sent."""

import json
from collections import Counter

import pytest

from workers.contract.data import FileData
from workers.contract.sketch import from_wire
from workers.engine import wire

LANGUAGES = ("de", "en")


@pytest.fixture
def tagged(tmp_path):
    """Rows that alternate between two languages, each with a user of its own."""
    row = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]}
    lines = [json.dumps(row | {"lang": LANGUAGES[i % 2], "user": f"u{i}"}) for i in range(100)]
    path = tmp_path / "tagged.jsonl"
    path.write_text("\n".join(lines))
    return FileData(str(path), tags=("lang", "user"))


def run(child):
    child.listen(wire.Prepared)
    child.authorise(30.0)
    child.begin()
    assert child.finished().outcome == "done"
    return child


def test_few_values_have_groups_that_nobody_asked_for_and_many_have_none(demo, engine, load, tagged):
    child = run(engine(load(demo().url, rate=50.0, duration_s=2.0, data=tagged)))
    groups = {cell.group for one in child.snapshots for cell in one.cells}
    assert groups == {"", "lang=de", "lang=en"}
    apart = [child.outcomes(f"lang={one}") for one in LANGUAGES]
    assert sum(apart, Counter[str]()) == child.outcomes("")
    assert min(one["ok"] for one in apart) > 30


def test_what_waited_too_long_for_the_target_counts_against_its_segment_too(demo, engine, load, tagged):
    slow = demo("--service-time", "400ms")
    spec = load(slow.url, rate=50.0, duration_s=2.0, timeout_s=0.6, max_in_flight=2, data=tagged)
    child = run(engine(spec))
    whole, apart = child.outcomes(""), [child.outcomes(f"lang={one}") for one in LANGUAGES]
    assert whole["unsent_target"] > 50
    assert sum(apart, Counter[str]()) == whole
    assert all(one["unsent_target"] for one in apart)


def test_failed_requests_have_times_of_their_own_by_how_they_failed(demo, engine, load):
    child = run(engine(load(demo("--error-rate", "30%").url, rate=50.0, duration_s=2.0)))
    failed = child.outcomes("")["http_503"]
    assert failed > 0
    times = [
        from_wire(cell.sketches["latency_failed"])
        for one in child.snapshots
        for cell in one.cells
        if cell.group == "@outcome=http_503"
    ]
    assert sum(one.count for one in times) == failed
