"""Words for Flower: the latest only, never in the way, and none after the end."""

import threading

from workers.attempts import progress as room
from workers.attempts.progress import Progress


def test_only_the_latest_words_are_said_and_a_failure_stops_nothing():
    said: list[tuple[str, str]] = []
    twice = threading.Event()

    def send(task_id: str, text: str) -> None:
        said.append((task_id, text))
        if len(said) == 2:
            twice.set()
        raise OSError("away")

    progress = Progress(send)
    assert progress.begin("t")
    assert progress.begin("u")
    for text in ("1", "2", "3"):
        progress.show("t", text)
    progress.show("u", "4")
    progress.start()
    assert twice.wait(5)
    progress.close()
    assert said == [("t", "3"), ("u", "4")]


def test_nothing_is_said_of_a_task_that_has_ended(monkeypatch):
    said: list[tuple[str, str]] = []
    told = threading.Event()
    monkeypatch.setattr(room, "SAY_EVERY_S", 0.05)

    def send(task_id: str, text: str) -> None:
        said.append((task_id, text))
        told.set()

    progress = Progress(send)
    progress.begin("ended")
    progress.begin("runs")
    progress.show("ended", "99%")
    assert progress.end("ended") == "99%"
    progress.show("ended", "100%")
    progress.start()
    progress.show("runs", "1%")
    assert told.wait(5)
    progress.close()
    assert said == [("runs", "1%")]


def test_a_task_that_comes_again_while_it_runs_is_a_repeat_and_afterwards_is_not():
    progress = Progress(lambda *_: None)
    assert progress.begin("t")
    assert not progress.begin("t")
    assert progress.end("t") == ""
    assert progress.begin("t")


def test_old_words_are_said_again_so_that_silence_means_something(monkeypatch):
    said: list[tuple[str, str]] = []
    enough = threading.Event()
    monkeypatch.setattr(room, "SAY_EVERY_S", 0.02)

    def send(task_id: str, text: str) -> None:
        said.append((task_id, text))
        if len(said) == 5:
            enough.set()

    progress = Progress(send)
    progress.begin("waits")
    progress.begin("prepares")
    progress.show("waits", "waiting, at 600 s")
    progress.start()
    assert enough.wait(5)
    progress.close()
    assert said[:5] == [
        ("waits", "waiting, at 600 s"),
        *[("waits", "waiting, at 600 s"), ("prepares", room.PREPARING)] * 2,
    ]
