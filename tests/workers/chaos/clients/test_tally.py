"""Counters in shared memory."""

import os
import signal

from workers.chaos.clients.tally import Tally, read


def test_what_is_counted_is_read_in_the_order_of_its_first_count(tmp_path):
    tally = Tally(tmp_path / "tally")
    assert read(tmp_path / "tally") == {}
    tally.add("sent")
    tally.add("answers.200", 3)
    tally.add("sent", 2)
    tally.add("held", -1)
    tally.highest("late_ms", 7)
    tally.highest("late_ms", 4)
    found = read(tmp_path / "tally")
    assert found == {"sent": 3, "answers.200": 3, "held": -1, "late_ms": 7}
    assert list(found) == ["sent", "answers.200", "held", "late_ms"]


def test_nothing_of_it_is_lost_with_a_process_that_is_killed(tmp_path):
    child = os.fork()
    if child == 0:
        tally = Tally(tmp_path / "tally")
        for _ in range(1000):
            tally.add("sent")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert read(tmp_path / "tally") == {"sent": 1000}


def test_there_is_none_where_there_is_no_file(tmp_path):
    assert read(tmp_path / "tally") == {}


def test_names_past_the_last_slot_are_not_counted_and_break_nothing(tmp_path):
    tally = Tally(tmp_path / "tally")
    for number in range(600):
        tally.add(f"name {number}")
    tally.add("n" * 100)
    assert len(read(tmp_path / "tally")) == 512
