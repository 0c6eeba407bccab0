"""What is recorded between two snapshots, and in which group."""

from workers.contract.bounds import Bound, BoundCount, Limit
from workers.contract.schedule import OpenArrivals, Segment
from workers.contract.sketch import from_wire
from workers.engine.arrival import grouping
from workers.engine.measure import Measured
from workers.engine.recorder import EXAMPLE_CHARS, EXAMPLES_AN_OUTCOME, MOST_WAYS, Recorder

FAST = Bound((Limit("latency", "<", 0.1),))


def _end(recorder, second, sample, *, groups=("",), tokens=(None, None)):
    recorder.ended(second, groups, sample=sample, sent=True, counted=recorder.counted(sample), tokens=tokens)


def test_values_land_in_the_second_of_their_intended_time_and_in_each_of_their_groups():
    recorder = Recorder((FAST,))
    _end(recorder, 3, Measured("ok", latency=0.05), groups=("", "lang=de"), tokens=(2, 7))
    _end(recorder, 4, Measured("ok", latency=0.5))
    cells = {(cell.second, cell.group): cell for cell in recorder.drain()}
    assert set(cells) == {(3, ""), (3, "lang=de"), (4, "")}
    assert cells[3, "lang=de"].outcomes == {"ok": 1}
    assert (cells[3, ""].input_tokens, cells[3, ""].output_tokens, cells[3, ""].ok_without_tokens) == (
        2,
        7,
        0,
    )
    assert cells[4, ""].bounds == {FAST.id: BoundCount(1, 1, 1)}
    assert cells[4, ""].ok_without_tokens == 1
    assert recorder.drain() == []


def test_failed_requests_keep_their_latency_apart():
    recorder = Recorder(())
    _end(recorder, 0, Measured("ok", latency=0.05))
    _end(recorder, 0, Measured("timeout", latency=5.0, lag=0.001))
    cell, by_outcome = recorder.drain()
    assert from_wire(cell.sketches["latency"]).high == 0.05
    assert from_wire(cell.sketches["latency_failed"]).high == 5.0
    assert from_wire(cell.sketches["lag"]).count == 2
    assert (by_outcome.group, by_outcome.outcomes) == ("@outcome=timeout", {"timeout": 1})
    assert {name: from_wire(one).high for name, one in by_outcome.sketches.items()} == {"latency_failed": 5.0}


def test_failures_of_the_warm_up_and_of_very_many_kinds_have_no_times_of_their_own():
    recorder = Recorder(())
    _end(recorder, 0, Measured("http_503", latency=0.1), groups=("warmup",))
    for status in range(400, 400 + 3 * MOST_WAYS):
        _end(recorder, 0, Measured(f"http_{status}", latency=0.1))
    cells = {cell.group: cell for cell in recorder.drain()}
    assert len(cells) == 2 + MOST_WAYS
    assert sum(cells[""].outcomes.values()) == 3 * MOST_WAYS


def test_arrivals_that_were_never_sent_have_no_times():
    recorder = Recorder((FAST,))
    recorder.given_up(1, ("",), "unsent_target", [(1, 1, 1)])
    recorder.given_up(1, ("",), "abandoned")
    (cell,) = recorder.drain()
    assert (cell.outcomes, cell.sketches) == ({"unsent_target": 1, "abandoned": 1}, {})
    assert cell.bounds == {FAST.id: BoundCount(1, 1, 1)}


def test_examples_are_few_different_and_short():
    recorder = Recorder(())
    for at in range(20):
        recorder.example("reset", f"{at // 2}" + "x" * 1000, request_id=str(at), intended_s=0.0)
    recorder.example("timeout", "slow", request_id="t", intended_s=0.0)
    examples = recorder.drain_examples()
    assert [example.outcome for example in examples] == ["reset"] * EXAMPLES_AN_OUTCOME + ["timeout"]
    assert max(len(example.text) for example in examples) == EXAMPLE_CHARS
    assert recorder.dropped == 10
    assert recorder.drain_examples() == []


def test_the_stage_of_the_schedule_is_a_tag_like_any_other():
    stages = (Segment(0, 5, 1, 1, "low"), Segment(5, 6, 1, 9, "high"), Segment(6, 9, 9, 9, "high"))
    groups = grouping(OpenArrivals("constant", stages, 1, "x"), (("stage", "high"), ("lang", "de")))
    assert groups(4_999_999_999, {"lang": "en"}) == ("",)
    assert groups(5_000_000_000, {"lang": "de"}) == ("", "stage=high", "lang=de")
    assert groups(8_000_000_000, {}) == ("", "stage=high")
