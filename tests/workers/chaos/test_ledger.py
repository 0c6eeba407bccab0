"""The ledger on disk: who is undone, who is left alone, what survives."""

import os
import signal

import msgspec
import pytest

from workers.chaos.contract import Scene
from workers.chaos.ledger import (
    Entry,
    Undone,
    collect,
    finish,
    open_entry,
    place,
    put_back,
    read,
    reconcile,
    scene_of,
    write,
)
from workers.chaos.processes import boot_id, boot_s, host_id, look, send
from workers.contract.errors import ContractError, FaultError

GONE = 0.5  # a create_time that no process has: the host had not booted


@pytest.fixture
def entry(orphan, tmp_path):
    """An entry for a pause of a fresh process by an agent that is gone."""
    target = orphan()
    agent = msgspec.structs.replace(look(os.getpid()).identity(), create_time=GONE)
    return Entry(
        attempt="a.1",
        name="hang",
        fault="pause-process",
        options={},
        scene=Scene("k", str(tmp_path / "own"), boot_s() + 60.0, processes=(target.who,)),
        agent=agent,
        boot=boot_id(),
        deadline_s=boot_s(),
    )


def _stop(entry, until):
    who = entry.scene.processes[0]
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
    write(
        tmp_path / "x.json",
        msgspec.structs.replace(entry, scene=msgspec.structs.replace(entry.scene, processes=(other,))),
    )
    (found,) = reconcile(tmp_path)
    assert found.reverted_s is not None
    assert look(who.pid).state == "T", "stopped by somebody else, and not ours to wake"


def test_entries_of_another_boot_are_moot(entry, until, tmp_path):
    who = _stop(entry, until)
    write(tmp_path / "x.json", msgspec.structs.replace(entry, boot="another"))
    assert len(reconcile(tmp_path)) == 1
    assert look(who.pid).state == "T"
    assert list(tmp_path.rglob("*.json")) == []


@pytest.mark.skipif(not host_id(), reason="needs /etc/machine-id")
def test_what_another_host_holds_is_left_to_it_though_this_one_sees_its_ledger(entry, until, tmp_path):
    """A home on a network's disk: of an agent elsewhere nothing can be known here, nor undone."""
    theirs = msgspec.structs.replace(entry, boot="another", host="another")
    write(tmp_path / "x.json", theirs)
    write(tmp_path / "done" / "y.json", theirs)
    assert reconcile(tmp_path) == []
    assert read(tmp_path / "x.json") == read(tmp_path / "done" / "y.json") == theirs
    earlier = msgspec.structs.replace(entry, boot="another", host=host_id())
    write(tmp_path / "x.json", earlier)
    assert [found.by for found in reconcile(tmp_path)] == ["next worker"]


def test_entries_of_an_agent_that_lives_are_left_alone(entry, until, tmp_path):
    who = _stop(entry, until)
    write(tmp_path / "x.json", msgspec.structs.replace(entry, agent=look(os.getpid()).identity()))
    assert reconcile(tmp_path) == []
    assert look(who.pid).state == "T"


def test_a_disk_that_takes_no_record_keeps_no_fault_in_effect_and_is_tried_again(entry, until, tmp_path):
    who = _stop(entry, until)
    write(tmp_path / "x.json", entry)
    write(tmp_path / "y.json", entry)
    (tmp_path / "done").write_text("a file where the folder should be")
    stuck = reconcile(tmp_path)
    assert look(who.pid).state in {"R", "S"}
    assert [one.reverted_s for one in stuck] == [None, None]
    assert "undone, but not written down" in stuck[0].why
    (tmp_path / "done").unlink()
    assert [found.by for found in reconcile(tmp_path)] == ["next worker"] * 2
    assert list(tmp_path.rglob("*.json")) == []


def test_a_write_that_fails_leaves_nothing_behind(entry, tmp_path):
    (tmp_path / "x.json").mkdir()
    with pytest.raises(FaultError, match="without it no fault is injected"):
        write(tmp_path / "x.json", entry)
    assert [path.name for path in tmp_path.iterdir() if path.name != "own"] == ["x.json"]


def test_of_one_that_never_began_nothing_is_reverted_but_what_was_prepared_is_gone(entry, until, tmp_path):
    who = _stop(entry, until)
    (tmp_path / "own").mkdir()
    write(tmp_path / "x.json", msgspec.structs.replace(entry, began=False))
    (found,) = reconcile(tmp_path)
    assert not found.began
    assert look(who.pid).state == "T", "stopped by somebody else: this fault has not touched it"
    assert not (tmp_path / "own").exists()


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
    finish(path, by="guardian", undone=Undone(12.5, did={"sent": 3}), why="time limit")
    assert read(path) is None
    found = collect(path)
    assert (found.by, found.reverted_s, found.why) == ("guardian", 12.5, "time limit")
    assert found.did == {"sent": 3}
    assert collect(path) is None


def test_one_attempt_at_a_fault_opens_one_entry(orphan, make_order, pinned, tmp_path):
    order = make_order(pinned(orphan().pid))
    scene = scene_of(tmp_path, order, processes=(), until_s=1.0)
    path, entry = open_entry(tmp_path, order, scene=scene, deadline_s=1.0)
    assert read(path) == entry
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(FaultError, match="has begun already"):
        open_entry(tmp_path, order, scene=scene, deadline_s=1.0)


def test_attempts_whose_names_look_alike_have_places_of_their_own(make_order, tmp_path):
    order = make_order(None)
    other = msgspec.structs.replace(order, attempt=order.attempt.replace("/", "."))
    assert place(tmp_path, order) != place(tmp_path, other)
    assert place(tmp_path, order).parent == tmp_path
