"""Notes of ledgers that stayed open: where they lie, and when they go."""

from pathlib import Path

from workers.contract.left_ledgers import note, noted, settle, where_noted


def test_notes_lie_where_the_environment_says_else_in_the_workers_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert where_noted({"SHAKEOUT_LEFT_LEDGERS": "/n", "SHAKEOUT_HOME": "/x"}) == Path("/n")
    assert where_noted({"SHAKEOUT_HOME": "/x"}) == Path("/x/left-ledgers")
    assert where_noted({}) == tmp_path / ".cache" / "shakeout" / "left-ledgers"


def test_a_ledger_is_noted_once_and_forgotten_with_its_folder_once_nothing_is_open(tmp_path):
    place, ledger = tmp_path / "notes", tmp_path / "out" / "work" / "local-1" / "ledger"
    ledger.mkdir(parents=True)
    (ledger / "hang.json").write_text("{}")
    note(place, ledger)
    note(place, ledger)
    (place / "broken.txt").write_bytes(b"\xff")
    assert noted(place) == (ledger,)
    assert not settle(place, ledger)
    (ledger / "hang.json").unlink()
    assert settle(place, ledger)
    assert noted(place) == ()
    assert list((tmp_path / "out").iterdir()) == []
    assert noted(tmp_path / "nowhere") == ()


def test_a_note_of_a_ledger_that_somebody_removed_is_forgotten(tmp_path):
    place = tmp_path / "notes"
    note(place, tmp_path / "gone" / "ledger")
    assert settle(place, tmp_path / "gone" / "ledger")
    assert not place.exists()
