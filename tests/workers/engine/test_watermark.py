"""The mark file of a dead engine, and the snapshot that closes its account."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.contract.bounds import Bound, BoundCount, Limit
from workers.contract.errors import EngineError
from workers.contract.snapshot import Cell, Snapshot
from workers.engine.arrival import NS, Arrival
from workers.engine.markfile import OTHER, OUTCOMES, MarkFile, ring_slots
from workers.engine.watermark import Tally, closing_snapshot, read

FAST = Bound((Limit("latency", "<", 0.1),))
TIMEOUT_S = 2.0


def _close(path, *snapshots):
    tally = Tally(TIMEOUT_S)
    for snapshot in snapshots:
        tally.add(snapshot)
    left = read(str(path))
    return closing_snapshot(left, tally, activity="a", shard=0, attempt="a:0:1", at_s=0.0, seq=9)


def _snapshot(*cells):
    return Snapshot("a", 0, "a:0:1", 1, 0.0, 0, 0, [], list(cells))


def _arrive(marks, index, second, *, group="", sent=True, outcome=None, counts=((0, 0, 0),)):
    arrival = Arrival(index, second * NS, 0, 0, groups=(group,))
    marks.handed(arrival, index + 1)
    if sent:
        marks.writing(arrival)
        arrival.sent_ns = 1
        marks.sent(arrival)
    if outcome:
        marks.ended(arrival, outcome, counts)


def test_what_was_sent_and_never_ended_is_abandoned_and_the_unsent_are_the_generators(tmp_path):
    marks = MarkFile(str(tmp_path / "m"), bounds=(FAST,), timeout_s=TIMEOUT_S)
    _arrive(marks, 0, 0, outcome="ok", counts=((1, 1, 0),))
    _arrive(marks, 1, 0)
    _arrive(marks, 2, 1, sent=False)
    _arrive(marks, 3, 1, group="warmup", outcome="http_503", counts=((1, 1, 1),))
    marks.last_seq(4)
    closing = _close(tmp_path / "m")
    cells = {(cell.second, cell.group): cell for cell in closing.cells}
    assert {place: cell.outcomes for place, cell in cells.items()} == {
        (0, ""): {"ok": 1, "abandoned": 1}, (1, ""): {"unsent_generator": 1}, (1, "warmup"): {"http_503": 1},
    }  # fmt: skip
    assert cells[0, ""].bounds == {FAST.id: BoundCount(1, 1, 0)}
    assert (closing.dispatched, closing.final, read(str(tmp_path / "m")).last_seq) == (4, True, 4)


def test_a_write_that_failed_is_known_not_to_have_left(tmp_path):
    marks = MarkFile(str(tmp_path / "m"), bounds=(FAST,), timeout_s=TIMEOUT_S)
    arrival = Arrival(0, 0, 0, 0)
    marks.handed(arrival, 1)
    marks.writing(arrival)
    marks.unwritten()  # and its client pauses before it tries again
    closing = _close(tmp_path / "m")
    assert closing.cells[0].outcomes == {"unsent_generator": 1}
    assert closing.warnings == [
        "the engine died: 1 requests of its last moments are counted without times or tags"
    ]


def test_what_snapshots_delivered_is_not_told_again(tmp_path):
    marks = MarkFile(str(tmp_path / "m"), bounds=(FAST,), timeout_s=TIMEOUT_S)
    for index in range(3):
        _arrive(marks, index, 0, outcome="ok", counts=((1, 0, 0),))
    told = _snapshot(
        Cell(0, "", {"ok": 2}, {FAST.id: BoundCount(2, 0, 0)}, {}), Cell(0, "x=y", {"ok": 2}, {}, {})
    )
    (cell,) = _close(tmp_path / "m", told).cells
    assert (cell.outcomes, cell.bounds) == ({"ok": 1}, {FAST.id: BoundCount(1, 0, 0)})
    assert _close(tmp_path / "m", told, _snapshot(cell)).cells == []


def test_a_request_killed_while_being_written_is_counted_nowhere(tmp_path):
    marks = MarkFile(str(tmp_path / "m"), bounds=(), timeout_s=TIMEOUT_S)
    arrival = Arrival(0, 5 * NS, 0, 0)
    marks.handed(arrival, 1)
    marks.writing(arrival)
    closing = _close(tmp_path / "m")
    assert closing.cells == []
    assert any("may or may not" in warning for warning in closing.warnings)


def test_the_ring_forgets_old_seconds_and_the_tally_with_it(tmp_path):
    marks = MarkFile(str(tmp_path / "m"), bounds=(), timeout_s=TIMEOUT_S)
    tally = Tally(TIMEOUT_S)
    for second in range(1000):
        _arrive(marks, second, second, outcome="ok")
        tally.add(_snapshot(Cell(second, "", {"ok": 1}, {}, {})))
    assert len(read(str(tmp_path / "m")).seconds) == 2 * ring_slots(TIMEOUT_S)
    assert len(tally.seen) <= ring_slots(TIMEOUT_S) + 1
    left = read(str(tmp_path / "m"))
    assert closing_snapshot(left, tally, activity="a", shard=0, attempt="a", at_s=0, seq=1).cells == []


def test_outcomes_beyond_the_tables_room_are_counted_as_other(tmp_path):
    marks = MarkFile(str(tmp_path / "m"), bounds=(), timeout_s=TIMEOUT_S)
    for index in range(OUTCOMES + 8):
        _arrive(marks, index, 0, outcome=f"http_{400 + index}")
    (cell,) = _close(tmp_path / "m").cells
    assert (
        cell.outcomes.total()
        if isinstance(cell.outcomes, Counter)
        else sum(cell.outcomes.values()) == OUTCOMES + 8
    )
    assert cell.outcomes[OTHER] == 9


def test_a_file_that_is_not_there_or_was_never_finished_is_an_error_with_its_path(tmp_path):
    with pytest.raises(EngineError, match="absent"):
        read(str(tmp_path / "absent"))
    (tmp_path / "empty").write_bytes(b"\0" * 4096)
    with pytest.raises(EngineError, match="empty"):
        read(str(tmp_path / "empty"))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", "ok", "timeout", "unsent"]), st.booleans()))
)
def test_delivered_and_closing_always_add_up_to_what_was_handed(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("marks") / "m"
    marks = MarkFile(str(path), bounds=(), timeout_s=TIMEOUT_S)
    told = Counter()
    for index, (second, outcome, delivered) in enumerate(steps):
        sent = outcome != "unsent"
        ended = {"unsent": "unsent_target"}.get(outcome, outcome)
        _arrive(marks, index, second, sent=sent, outcome=ended or None)
        if ended and delivered:
            told[second, ended] += 1
    closing = _close(path, *[_snapshot(Cell(at, "", {name: n}, {}, {})) for (at, name), n in told.items()])
    total = Counter(name for (_, name), n in told.items() for _ in range(n))
    for cell in closing.cells:
        total.update(cell.outcomes)
    wanted = Counter(
        {"": "abandoned", "unsent": "unsent_target"}.get(outcome, outcome) for _, outcome, _ in steps
    )
    assert total == wanted
