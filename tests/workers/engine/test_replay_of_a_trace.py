"""Recorded traffic, replayed by real engines against a real target whose log is the truth."""

import random
import time

import msgspec
import pytest

from workers.contract.data import FileData
from workers.contract.files.trace_files import read_trace
from workers.contract.files.traces import pack, trace_of
from workers.contract.schedule import recorded
from workers.contract.snapshot import JUDGED
from workers.contract.spec import FileRef, TargetSpec
from workers.engine import wire

ROWS = 120
SPEED = 2.0
QUICK = ("--ttft", "2ms", "--gap", "1ms", "--tokens", "400")


@pytest.fixture
def replay(tmp_path, load):
    """A load that replays a trace of some seconds, with prompts as long as its rows say; and the rows."""
    draw = random.Random(7)
    rows, at = [], 0.0
    for _ in range(ROWS):
        rows.append((at, draw.randint(1, 300), draw.randint(1, 30), draw.choice("ab")))
        at += draw.expovariate(40)
    file = tmp_path / "trace.csv"
    lines = (f"{at:.6f},{model},{given},{made}\n" for at, given, made, model in rows)
    file.write_text("Timestamp,Model,Request tokens,Response tokens\n" + "".join(lines))
    times = read_trace(file, name="trace.csv")
    (tmp_path / "packed").write_bytes(pack(times))
    trace = trace_of(times, packed=pack(times), name="trace.csv", speed=SPEED)

    def make(url, **more):
        options = {"url": url, "model": "m"}
        return load(
            url,
            arrivals=recorded(trace, stream="replay"),
            target=TargetSpec("t", "openai-chat", url, options, 20.0),
            data=FileData(str(file), tags=("Model",), lengths=True, name="trace.csv"),
            **more,
        )

    return make, rows, {trace.sha256: str(tmp_path / "packed")}


def test_two_shards_offer_every_recorded_request_at_its_time_and_as_long_as_it_was(demo, engine, replay):
    make, rows, files = replay
    target = demo(*QUICK)
    spec = make(target.url, tag_groups=(("Model", "a"), ("Model", "b")))
    children = [engine(spec, shard=shard, of=2, files=files) for shard in (0, 1)]
    prints = {child.listen(wire.Prepared).fingerprint for child in children}
    assert len(prints) == 1
    start_ns = time.monotonic_ns() + 300_000_000
    for child in children:
        child.authorise(60)
        child.say(wire.Begin(start_ns, 0.0, 0.0))
    ends = [child.finished() for child in children]
    assert {end.outcome for end in ends} == {"done"}
    assert target.indices() == list(range(ROWS))
    early = [
        line["received_ns"] - start_ns - round(rows[int(line["id"].split("/")[1])][0] / SPEED * 1e9)
        for line in target.lines("received")
    ]
    assert min(early) > -1_000  # times of the file are rounded to 1 us
    assert sorted(early)[ROWS // 2] < 500e6
    cells = [cell for child in children for snapshot in child.snapshots for cell in snapshot.cells]
    judged = [cell for cell in cells if cell.group == JUDGED]
    assert sum(cell.input_tokens for cell in judged) == sum(given for _, given, _, _ in rows)
    assert sum(cell.output_tokens for cell in judged) == sum(made for _, _, made, _ in rows)
    outcomes = [child.outcomes("Model=a").total() for child in children]
    assert sum(outcomes) == sum(model == "a" for *_, model in rows)


def test_a_resumed_shard_takes_only_what_was_recorded_from_its_time_on(demo, engine, replay):
    make, rows, files = replay
    target = demo(*QUICK)
    from_s = rows[ROWS // 2][0] / SPEED - 1e-7
    child = engine(make(target.url), shard=1, of=2, files=files)
    child.listen(wire.Prepared)
    child.authorise(60)
    child.say(wire.Begin(time.monotonic_ns() - round(from_s * 1e9), from_s, 0.0))
    child.finished()
    assert target.indices() == [index for index in range(ROWS // 2, ROWS) if index % 2 == 1]


def test_an_engine_without_the_times_or_the_tokenizer_says_so_before_it_starts(
    demo, engine, replay, tmp_path
):
    make, _, files = replay
    target = demo(*QUICK)
    (tmp_path / "other").write_bytes(b"none")
    ended = engine(make(target.url), files=dict.fromkeys(files, str(tmp_path / "other"))).finished()
    assert (ended.outcome, "packed times of trace.csv" in ended.why) == ("error", True)
    spec = make(target.url)
    ref = FileRef("11", 4, "tokenizer.json")
    spec = msgspec.structs.replace(spec, target=msgspec.structs.replace(spec.target, tokenizer=ref))
    ended = engine(spec, files=files | {"11": str(tmp_path / "other")}).finished()
    assert (ended.outcome, "tokenizer.json" in ended.why) == ("error", True)
