"""Words for Flower: the latest only, and never in the way."""

import threading

from workers.contract.data import Fixed, SyntheticData
from workers.contract.schedule import OpenArrivals, Segment
from workers.contract.sketch import sketch_of, to_wire
from workers.contract.snapshot import JUDGED, Cell, Snapshot
from workers.contract.spec import LoadSpec, TargetSpec
from workers.progress import Progress, words


def test_a_line_tells_share_rate_and_p99():
    spec = LoadSpec(
        campaign="c", phase="p", activity="a", kind="load",
        target=TargetSpec("t", "json-http", "http://x", {}, 1.0),
        arrivals=OpenArrivals("constant", (Segment(0.0, 10.0, 5.0, 5.0),), 1, "a"), warmup_s=0.0,
        max_in_flight=1, data=SyntheticData(Fixed(1), Fixed(1)), bounds=(), tag_groups=(), seed=1,
        fence_s=10.0,
    )  # fmt: skip
    cell = Cell(3, JUDGED, {"ok": 100}, {}, {"latency": to_wire(sketch_of([0.034] * 100))})
    shot = Snapshot("a", 0, "a:0:1", 4, 0.0, 100, 812, [], [cell])
    assert words(shot, spec, phase_s=4.0) == "40% · 812 req/s · p99 34 ms"
    assert words(Snapshot("a", 0, "a:0:1", 5, 0.0, 100, 0, [], []), spec, phase_s=99.0) == "100% · 0 req/s"


def test_only_the_latest_words_are_said_and_a_failure_stops_nothing():
    said: list[tuple[str, str]] = []
    twice = threading.Event()

    def send(task_id: str, text: str) -> None:
        said.append((task_id, text))
        if len(said) == 2:
            twice.set()
        raise OSError("away")

    progress = Progress(send)
    for text in ("1", "2", "3"):
        progress.show("t", text)
    progress.show("u", "4")
    progress.start()
    assert twice.wait(5)
    progress.close()
    assert said == [("t", "3"), ("u", "4")]
