"""The real engine child, driven over its pipes, against a real target whose log is the truth."""

import fcntl
import subprocess
import time
from collections import Counter

import pytest

from workers.contract.bounds import Bound, Limit
from workers.contract.data import FileData
from workers.contract.schedule import ClosedArrivals, OpenArrivals, Segment, blocks
from workers.contract.sketch import from_wire, merge_all
from workers.contract.spec import TargetSpec
from workers.engine import wire
from workers.engine.data import FIRST_ROWS, SPREAD_ROWS
from workers.engine.watermark import Tally, closing_snapshot, read

QUICK = ("--service-time", "2ms")
SLOW = ("--service-time", "30s")


def _wait(check, within_s=10.0):
    until_s = time.monotonic() + within_s
    while not (value := check()):
        assert time.monotonic() < until_s, "waited too long"
        time.sleep(0.02)
    return value


def test_every_arrival_of_the_schedule_reaches_the_target_exactly_once(demo, engine, load):
    target = demo(*QUICK)
    spec = load(target.url, rate=150.0, warmup_s=0.5)
    child = engine(spec, probe=True)
    word = child.listen(wire.Prepared)
    assert len(word.fingerprint) == 16
    child.authorise(30)
    child.begin()
    end = child.finished()
    scheduled = sum(len(block.indices) for block in blocks(spec.arrivals))
    assert target.indices() == list(range(scheduled))
    assert set(target.ids()) == {f"surge/{index}/1" for index in range(scheduled)}
    assert child.outcomes() == {"ok": scheduled}
    assert child.outcomes("warmup").total() > 0
    assert (end.outcome, end.dispatched) == ("done", scheduled)
    assert [snapshot.seq for snapshot in child.snapshots] == list(range(1, end.last_seq + 1))
    assert child.snapshots[-1].final
    assert sum(snapshot.sent for snapshot in child.snapshots) == scheduled
    assert sum(sum(snapshot.completions.values()) for snapshot in child.snapshots) == scheduled


def test_two_shards_offer_exactly_the_union_at_the_times_of_the_schedule(demo, engine, load):
    target = demo(*QUICK)
    spec = load(target.url, rate=80.0, duration_s=1.5)
    children = [engine(spec, shard=shard, of=2) for shard in (0, 1)]
    for child in children:
        child.listen(wire.Prepared)
    start_ns = time.monotonic_ns() + 300_000_000
    for child in children:
        child.authorise(30)
        child.say(wire.Begin(start_ns, 0.0, 0.0))
    for child in children:
        child.finished()
    times = dict(
        pair for block in blocks(spec.arrivals) for pair in zip(block.indices, block.times_ns, strict=True)
    )
    assert target.indices() == sorted(times)
    late_ns = sorted(
        line["received_ns"] - start_ns - times[int(line["id"].split("/")[1])]
        for line in target.lines("received")
    )
    assert late_ns[0] >= 0
    assert late_ns[len(late_ns) // 2] < 200e6


def test_a_resumed_shard_takes_only_arrivals_from_its_time_on(demo, engine, load):
    target = demo(*QUICK)
    spec = load(target.url, rate=60.0)
    child = engine(spec, number=2)
    child.listen(wire.Prepared)
    child.authorise(30)
    child.begin(in_s=-0.5, from_s=1.0)
    child.finished()
    (block,) = blocks(spec.arrivals)
    assert target.indices() == block.indices[block.times_ns >= 1_000_000_000].tolist()
    assert target.ids()[0].endswith("/2")


def test_halt_gives_up_what_is_in_flight_and_leaves_the_rest_undecided(demo, engine, load):
    target = demo(*SLOW)
    child = engine(load(target.url, rate=50.0, duration_s=20.0, timeout_s=60.0, max_in_flight=20))
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin()
    _wait(lambda: len(target.ids()) == 20)
    child.listen(wire.Taken)
    child.say(wire.Halt("enough"))
    end = child.finished(within_s=6.0)
    assert (end.outcome, end.why, end.dispatched) == ("stopped", "enough", 20)
    assert child.outcomes() == {"abandoned": 20}
    assert max(max(snapshot.running.values(), default=0) for snapshot in child.snapshots) == 20


def test_a_killed_engine_leaves_every_request_accounted_for(demo, engine, load):
    target = demo("--service-time", "40ms")
    bounds = (Bound((Limit("latency", "<", 0.02),)),)
    child = engine(load(target.url, rate=400.0, duration_s=20.0, bounds=bounds))
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin()
    for _ in range(2):
        child.listen(wire.Taken)
    _wait(lambda: len(target.ids()) > 700)
    child.process.kill()
    child.process.wait()
    child.listen(wire.Finished)
    tally = Tally(5.0)
    for snapshot in child.snapshots:
        tally.add(snapshot)
    left = read(child.mark)
    closing = closing_snapshot(
        left, tally, activity="surge", shard=0, attempt="surge:0:1", at_s=0.0, seq=left.last_seq + 1
    )
    child.snapshots.append(closing)
    total = child.outcomes()
    sent = total["ok"] + total["abandoned"]
    _wait(
        lambda: sent <= len(target.ids()) == len(target.lines("disconnected")) + len(target.lines("answered"))
    )
    unknown = 1 if left.writing else 0
    assert total["abandoned"] > 0
    assert sent <= len(target.ids()) <= sent + unknown
    assert total.total() + unknown == left.dispatched
    bound = bounds[0].id
    over = [cell.bounds[bound].over for snapshot in child.snapshots for cell in snapshot.cells if cell.bounds]
    assert sum(over) == total["ok"]


def test_last_words_wait_for_a_worker_that_stood_still_longer_than_its_engine_was_allowed_to_send(
    demo, engine, load
):
    target = demo()
    child = engine(load(target.url, rate=100.0, duration_s=20.0))
    fcntl.fcntl(child.process.stdout, fcntl.F_SETPIPE_SZ, 4096)
    child.listen(wire.Prepared)
    child.authorise(2)
    child.begin()
    with pytest.raises(subprocess.TimeoutExpired):
        child.process.wait(9)  # nobody reads what it says
    end = child.finished(within_s=10.0)
    assert (end.outcome, end.why) == ("stopped", "the authorisation to send ran out")
    assert child.outcomes() == {"ok": len(target.ids())}


def test_a_target_that_never_answers_in_time_costs_timeouts_and_a_line_of_unsent(demo, engine, load):
    target = demo(*SLOW)
    bounds = (Bound((Limit("latency", "<", 10.0),)), Bound((Limit("latency", "<", 10.0),), goodput=True))
    child = engine(
        load(target.url, rate=100.0, duration_s=1.0, timeout_s=0.5, max_in_flight=5, bounds=bounds)
    )
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin()
    end = child.finished()
    total = child.outcomes()
    assert end.outcome == "done"
    assert set(total) == {"timeout", "unsent_target"}
    assert total["timeout"] == len(target.ids())
    assert total.total() == end.dispatched
    for bound in bounds:
        cells = [cell for snapshot in child.snapshots for cell in snapshot.cells if not cell.group]
        counts = [cell.bounds[bound.id] for cell in cells]
        assert sum(count.n for count in counts) == sum(count.over for count in counts) == total.total()
    waits = [cell.sketches["latency_failed"] for s in child.snapshots for cell in s.cells if cell.sketches]
    assert merge_all(map(from_wire, waits)).high >= 0.5


def test_time_in_line_is_the_targets_and_is_not_called_lag(demo, engine, load):
    target = demo("--service-time", "100ms")
    child = engine(load(target.url, rate=40.0, duration_s=1.0, max_in_flight=2))
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin()
    child.finished()
    pooled = {
        name: merge_all(
            from_wire(cell.sketches[name])
            for s in child.snapshots
            for cell in s.cells
            if name in cell.sketches
        )
        for name in ("wait", "lag", "latency", "service_time")
    }
    assert pooled["wait"].high > 0.3
    assert pooled["lag"].quantile(0.5) < 0.02
    sums = pooled["wait"].total + pooled["lag"].total + pooled["service_time"].total
    assert abs(pooled["latency"].total - sums) < 0.1 * pooled["latency"].total


def test_streams_are_measured_token_by_token(demo, engine, load, tmp_path):
    target = demo("--ttft", "60ms", "--gap", "10ms", "--tokens", "8")
    rows = tmp_path / "prompts.jsonl"
    rows.write_text('{"prompt": "a b c", "lang": "en"}\n{"prompt": "d e f", "lang": "de"}\n')
    spec = load(
        target.url,
        target=TargetSpec("t", "openai-chat", target.url, {"url": target.url, "model": "demo"}, 5.0),
        data=FileData(str(rows), tags=("lang",)),
        rate=30.0,
        duration_s=1.5,
        tag_groups=(("lang", "de"), ("stage", "whole")),
        bounds=(
            Bound((Limit("ttft", "<", 0.5), Limit("tpot", "<", 0.5)), goodput=True),
            Bound((Limit("itl", "<", 1.0),)),
        ),
    )
    child = engine(spec)
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin()
    end = child.finished()
    cells = [cell for snapshot in child.snapshots for cell in snapshot.cells]
    judged = [cell for cell in cells if cell.group == ""]
    assert child.outcomes() == child.outcomes("stage=whole") == {"ok": end.dispatched}
    assert child.outcomes("lang=de")["ok"] == end.dispatched // 2
    assert sum(cell.output_tokens for cell in judged) == 8 * end.dispatched
    pooled = {
        name: merge_all(from_wire(cell.sketches[name]) for cell in judged)
        for name in ("ttft", "ttft_sent", "ttfot", "tpot", "itl")
    }
    assert pooled["itl"].count == 7 * end.dispatched
    assert 0.055 < pooled["ttft_sent"].quantile(0.5) < 0.3
    assert 0.009 < pooled["tpot"].quantile(0.5) < 0.03
    counts = {name: sum(cell.bounds[name].n for cell in judged) for name in judged[0].bounds}
    assert counts == {spec.bounds[0].id: end.dispatched, spec.bounds[1].id: 7 * end.dispatched}


def test_closed_users_send_again_after_their_answer(demo, engine, load):
    target = demo("--service-time", "50ms")
    child = engine(
        load(target.url, arrivals=ClosedArrivals(users=4, think_s=0.05, duration_s=1.0)), of=2, shard=1
    )
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin()
    end = child.finished()
    indices = target.indices()
    assert indices == list(range(1, 2 * len(indices), 2))
    assert 2 <= len(indices) <= 20  # two users, each at most one per 100 ms
    assert (end.outcome, child.outcomes()) == ("done", Counter(ok=len(indices)))


def test_an_engine_asks_until_its_target_is_ready_and_says_why_not(engine, load, demo):
    target = demo(*QUICK)
    target.process.kill()
    target.process.wait()
    child = engine(load(target.url), probe=True)
    word = child.listen(wire.Unready)
    assert "refused" in word.why
    port = target.url.rsplit(":", 1)[1]
    again = demo(*QUICK, "--port", port)
    assert isinstance(child.listen(wire.Prepared), wire.Prepared)
    assert again.ids() == []
    child.say(wire.Halt("not now"))
    assert child.finished().outcome == "stopped"


def test_a_target_off_the_allow_list_and_broken_data_end_the_attempt_before_it_starts(engine, load, tmp_path):
    child = engine(load("http://192.0.2.1:9"))
    end = child.finished()
    assert (end.outcome, "--allow-target" in end.why) == ("refused", True)
    child = engine(load("http://127.0.0.1:9", data=FileData(str(tmp_path / "absent.jsonl"))))
    end = child.finished()
    assert (end.outcome, "absent.jsonl" in end.why) == ("error", True)


def test_a_broken_row_ends_the_attempt_with_its_place_before_anything_is_sent(demo, engine, load, tmp_path):
    target = demo(*QUICK)
    rows = tmp_path / "broken.jsonl"
    rows.write_text('{"inputs": []}\n{nonsense\n')
    end = engine(load(target.url, data=FileData(str(rows)), rate=50.0)).finished()
    assert (end.outcome, "broken.jsonl:2" in end.why, target.ids()) == ("error", True, [])


def test_a_row_that_breaks_under_load_ends_the_attempt_with_its_place(demo, engine, load, tmp_path):
    target = demo(*QUICK)
    rows = tmp_path / "broken.jsonl"
    good = ['{"inputs": []}\n'] * (FIRST_ROWS + 4 * SPREAD_ROWS)
    good[FIRST_ROWS + 1] = "{nonsense\n"  # between those that are looked at before the start
    rows.write_text("".join(good))
    child = engine(load(target.url, data=FileData(str(rows)), rate=2.0 * FIRST_ROWS))
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin()
    end = child.finished()
    assert (end.outcome, f"broken.jsonl:{FIRST_ROWS + 2}" in end.why) == ("error", True)


def test_data_that_stops_ends_the_load(demo, engine, load, tmp_path):
    target = demo(*QUICK)
    rows = tmp_path / "few.jsonl"
    rows.write_text('{"inputs": []}\n' * 7)
    child = engine(load(target.url, data=FileData(str(rows), at_end="stop"), rate=100.0))
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin()
    end = child.finished()
    assert (end.outcome, end.dispatched, target.indices()) == ("done", 7, list(range(7)))


def test_a_schedule_that_could_not_be_kept_is_not_moved(demo, engine, load):
    target = demo(*QUICK)
    child = engine(load(target.url, rate=50.0, duration_s=1.0))
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin(in_s=-0.7)
    child.finished()
    cells = [cell for snapshot in child.snapshots for cell in snapshot.cells]
    lag = merge_all(from_wire(cell.sketches["lag"]) for cell in cells)
    latency = merge_all(from_wire(cell.sketches["latency"]) for cell in cells)
    assert 0.6 < lag.high <= latency.high < 2.0
    assert {cell.second for cell in cells} == {0}
    assert 0.6 < child.snapshots[0].start_lag_s < 2.0


def test_the_targets_rate_limit_holds_whatever_the_schedule_says(demo, engine, load):
    target = demo(*QUICK)
    limited = TargetSpec(
        "t", "json-http", target.url, {"path": "/v2/models/demo/infer"}, 5.0, rate_limit_per_s=3.0
    )
    child = engine(load(target.url, target=limited, rate=100.0, duration_s=1.0))
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin()
    end = child.finished()
    total = child.outcomes()
    assert total["ok"] == len(target.ids()) <= 3 * 11
    assert total["ok"] + total["unsent_generator"] == end.dispatched
    assert any("rate_limit" in example.text for s in child.snapshots for example in s.examples)


def test_a_burst_is_sent_at_once_by_users_that_were_ready(demo, engine, load):
    target = demo("--service-time", "200ms")
    stages = (Segment(0.0, 0.5, 1.0, 1.0), Segment(0.5, 0.6, 1000.0, 1000.0, "burst"))
    child = engine(
        load(target.url, arrivals=OpenArrivals("constant", stages, 1, "x"), tag_groups=(("stage", "burst"),))
    )
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin()
    end = child.finished()
    assert target.indices() == list(range(end.dispatched))
    assert child.outcomes("stage=burst")["ok"] >= 95
