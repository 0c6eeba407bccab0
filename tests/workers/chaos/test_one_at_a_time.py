"""One fault a target at a time, seen from two agents of one host."""

import fcntl
import os
import signal

import pytest
from msgspec.structs import replace

from workers.chaos import one_at_a_time
from workers.chaos.contract import FaultOrder, Scene
from workers.chaos.ledger import forget, open_entry
from workers.chaos.one_at_a_time import alone, taken
from workers.chaos.processes import boot_s
from workers.chaos.run import plan
from workers.contract.errors import FaultError


@pytest.fixture
def order():
    return FaultOrder("c phase/hang:0:1", "hang", "noop", {}, None, 5.0, 5.0)


def scene(folder, **given):
    return Scene(key="k", folder=str(folder), until_s=boot_s() + 5, **given)


def test_a_second_fault_on_a_process_is_refused_and_touches_nothing(orphan, agent, make_order, pinned, until):
    target = orphan()
    order = make_order(pinned(target.pid), for_s=30.0)
    first = agent(order)
    first.until_event("verified")
    (failed,) = agent(replace(order, attempt="other phase/hang:0:1")).rest()
    assert failed.what == "failed"
    assert f"process {target.pid}" in failed.why
    assert "is under fault hang (pause-process) of campaign phase/hang.1" in failed.why
    assert target.state() == "T"
    assert len(first.open_entries()) == 1
    with pytest.raises(FaultError, match="one fault a target at a time"):
        plan(replace(order, attempt="third"), ledger=first.ledger)
    first.stop.write_text("over")
    assert first.rest()[-1].what == "reverted"
    until(lambda: target.state() == "S")
    first.stop.unlink()
    second = agent(replace(order, attempt="other phase/hang:0:1", for_s=0.2))
    assert second.rest()[-1].took_effect, "the target is free again"


def test_a_kill_of_what_is_held_is_refused_too(orphan, agent, make_order, pinned):
    target = orphan()
    first = agent(make_order(pinned(target.pid)))
    first.until_event("verified")
    kill = make_order(pinned(target.pid), fault="kill-process", for_s=0.0)
    (failed,) = agent(replace(kill, attempt="other")).rest()
    assert "one fault a target at a time" in failed.why
    assert target.state() == "T"


def test_a_thing_is_known_by_its_name(tmp_path, order):
    path, _ = open_entry(
        tmp_path, order, scene=scene(tmp_path), deadline_s=boot_s(), touched=("port 9000", "port 9001")
    )
    other = replace(order, name="else")
    words = taken(tmp_path, other, scene=scene(tmp_path), touched=("port 9001",))
    assert words.startswith("port 9001 is under fault hang (noop) of campaign c, attempt phase/hang:0:1")
    assert taken(tmp_path, other, scene=scene(tmp_path), touched=("port 9002",)) == ""
    assert taken(tmp_path, other, scene=scene(tmp_path), touched=()) == ""
    assert taken(tmp_path, order, scene=scene(tmp_path), touched=("port 9001",)) == "", "it is this one"
    forget(path)
    assert taken(tmp_path, other, scene=scene(tmp_path), touched=("port 9001",)) == ""


def test_an_entry_that_cannot_be_read_may_be_on_any_target(tmp_path, order):
    (tmp_path / "broken.json").write_text("{")
    assert "cannot be read" in taken(tmp_path, order, scene=scene(tmp_path), touched=())


def test_whoever_holds_the_ledger_too_long_is_told_of_and_a_dead_one_holds_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(one_at_a_time, "ALONE_WITHIN_S", 0.2)
    said, says = os.pipe()
    holder = os.fork()
    if holder == 0:
        handle = os.open(tmp_path / ".lock", os.O_RDWR | os.O_CREAT)
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.write(says, b"held")
        signal.pause()
    assert os.read(said, 4) == b"held"
    with pytest.raises(FaultError, match="locked by another worker"), alone(tmp_path):
        pass
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    with alone(tmp_path):
        pass
