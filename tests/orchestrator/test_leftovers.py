"""What a run leaves on its machine: nothing, but for the ledger of a fault that could not be undone."""

import threading
import time
from pathlib import Path

import pytest

from orchestrator import leftovers
from orchestrator.leftovers import clear, words
from workers.contract.left_ledgers import LEFT_VARIABLE, noted, settle


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of notes of this test alone."""
    monkeypatch.setenv(LEFT_VARIABLE, str(tmp_path / "notes"))
    return tmp_path / "notes"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The folder of a run's parts, one of which holds an open entry."""
    ledger = tmp_path / "out" / "work" / "local-1" / "ledger"
    ledger.mkdir(parents=True)
    (ledger / "hang.json").write_text("{}")
    for path in (
        ledger.parent / "marks",
        ledger.parents[1] / "valkey",
        ledger.parents[1] / "local-2" / "ledger",
    ):
        path.mkdir(parents=True)
        (path / "file").write_text("x")
    (ledger.parents[1] / "coordinator.log").write_text("x")
    return ledger.parents[1]


def test_an_entry_that_a_guardian_closes_is_waited_for_and_nothing_stays(work: Path, notes: Path) -> None:
    closing = threading.Timer(0.2, (work / "local-1" / "ledger" / "hang.json").unlink)
    closing.start()
    assert clear(work) == ()
    closing.join()
    assert not work.exists()
    assert not notes.exists()


def test_a_ledger_that_stays_open_stays_alone_and_is_noted_for_the_next_worker(
    work: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "WAITS_S", 0.1)
    began_s = time.monotonic()
    (left,) = clear(work)
    assert time.monotonic() - began_s >= 0.1
    assert left == work / "local-1" / "ledger"
    assert [path for path in work.rglob("*") if path.is_file()] == [left / "hang.json"]
    assert noted(notes) == (left,)
    assert str(left) in words(left)
    assert "hang" in words(left)

    assert not settle(notes, left)
    (left / "hang.json").unlink()
    assert settle(notes, left)
    assert not work.exists()
    assert noted(notes) == ()
