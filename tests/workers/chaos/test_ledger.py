"""The ledger on disk: who is undone, who is left alone, what survives."""

import os
import signal

import msgspec
import pytest

from workers.chaos.ledger import Entry, collect, finish, open_entry, place, put_back, read, reconcile, write
from workers.chaos.processes import boot_id, boot_s, look, send
from workers.contract.errors import ContractError, FaultError

GONE = 0.5  # a create_time that no process has: the host had not booted


@pytest.fixture
def entry(orphan):
    """An entry for a pause of a fresh process by an agent that is gone."""
    target = orphan()
    agent = msgspec.structs.replace(look(os.getpid()).identity(), create_time=GONE)
    return Entry(
        attempt="a.1",
        name="hang",
        fault="pause-process",
        options={},
        processes=(target.who,),
        agent=agent,
        boot=boot_id(),
        deadline_s=boot_s(),
    )


def _stop(entry, until):
    who = entry.processes[0]
    send(who, signal.SIGSTOP)
    until(lambda: look(who.pid).state == "T")
    return who


def test_what_an_agent_that_is_gone_left_is_undone_once(entry, until, tmp_path):
    who = _stop(entry, until)
    write(tmp_path / "x.json", entry)
    (found,) = reconcile(tmp_path)
    assert look(who.pid).state in {"R", "S"}
    assert (found.by, found.attempt) == ("next worker", "a.1")
    assert found.reverted_s <= boot_s()
    assert reconcile(tmp_path) == []
    assert list(tmp_path.rglob("*.json")) == []


def test_a_process_that_took_over_the_pid_is_left_alone(entry, until, tmp_path):
    who = _stop(entry, until)
    other = msgspec.structs.replace(who, create_time=who.create_time - 1)
    write(tmp_path / "x.json", msgspec.structs.replace(entry, processes=(other,)))
    (found,) = reconcile(tmp_path)
    assert found.reverted_s is not None
    assert look(who.pid).state == "T", "stopped by somebody else, and not ours to wake"


def test_entries_of_another_boot_are_moot(entry, until, tmp_path):
    who = _stop(entry, until)
    write(tmp_path / "x.json", msgspec.structs.replace(entry, boot="another"))
    assert len(reconcile(tmp_path)) == 1
    assert look(who.pid).state == "T"
    assert list(tmp_path.rglob("*.json")) == []


def test_entries_of_an_agent_that_lives_are_left_alone(entry, until, tmp_path):
    who = _stop(entry, until)
    write(tmp_path / "x.json", msgspec.structs.replace(entry, agent=look(os.getpid()).identity()))
    assert reconcile(tmp_path) == []
    assert look(who.pid).state == "T"


def test_an_unreadable_entry_is_said_after_the_others_are_undone(entry, until, tmp_path):
    who = _stop(entry, until)
    (tmp_path / "a.json").write_text("{")
    write(tmp_path / "x.json", entry)
    with pytest.raises(ContractError, match=r"a\.json cannot be read"):
        reconcile(tmp_path)
    assert look(who.pid).state in {"R", "S"}
    (tmp_path / "a.json").unlink()
    assert [found.name for found in reconcile(tmp_path)] == ["hang"]


def test_an_entry_of_an_unknown_fault_stays_open_and_says_why(entry, tmp_path):
    write(tmp_path / "x.json", msgspec.structs.replace(entry, fault="of-a-later-version"))
    (found,) = reconcile(tmp_path)
    assert found.reverted_s is None
    assert "unknown kind 'of-a-later-version'" in found.why
    assert read(tmp_path / "x.json") is not None


@pytest.mark.skipif(os.getuid() != 0, reason="needs root: becomes another user")
def test_a_revert_that_is_not_permitted_is_left_and_said(entry, until, as_nobody):
    who = _stop(entry, until)
    assert "not permitted to signal" in as_nobody(lambda: put_back(entry).left)
    assert look(who.pid).state == "T"
    assert put_back(entry).left == ""
    assert look(who.pid).state in {"R", "S"}  # running or asleep, as it likes


def test_what_a_killed_writer_left_is_swept_up(tmp_path):
    (tmp_path / ".x.json.4194304.tmp").write_text("half")  # above the largest pid there can be
    (tmp_path / f".y.json.{os.getpid()}.tmp").write_text("being written")
    reconcile(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f".y.json.{os.getpid()}.tmp"]


def test_a_finished_entry_is_collected_once(entry, tmp_path):
    path = tmp_path / "x.json"
    write(path, entry)
    finish(path, by="guardian", reverted_s=12.5, why="time limit")
    assert read(path) is None
    found = collect(path)
    assert (found.by, found.reverted_s, found.why) == ("guardian", 12.5, "time limit")
    assert collect(path) is None


def test_one_attempt_at_a_fault_opens_one_entry(orphan, make_order, pinned, tmp_path):
    order = make_order(pinned(orphan().pid))
    path, entry = open_entry(tmp_path, order, processes=(), deadline_s=1.0)
    assert read(path) == entry
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(FaultError, match="has begun already"):
        open_entry(tmp_path, order, processes=(), deadline_s=1.0)


def test_attempts_whose_names_look_alike_have_places_of_their_own(make_order, tmp_path):
    order = make_order(None)
    other = msgspec.structs.replace(order, attempt=order.attempt.replace("/", "."))
    assert place(tmp_path, order) != place(tmp_path, other)
    assert place(tmp_path, order).parent == tmp_path
