"""A worker that is told to leave: by signals, by an order, once or twice, and how long it may take."""

import hashlib
import os
import signal
import threading
import time
from collections import Counter

import msgspec
import pytest

from workers.contract.broker import names
from workers.contract.facts import Draining, Exited, Ready, Yielded
from workers.contract.signed.drains import DrainAsked, encode_drain
from workers.contract.spec import FileRef, RegressionSpec
from workers.fleet.drain import DRAIN_WITHIN_S, LAST_WORDS_S, Drain, leave, watch

WITHIN_S = 10.0
NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


@pytest.fixture
def drain():
    """A drain that listens to this process's signals; `inner` is what was called in their place before."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    for number in NUMBERS:
        signal.signal(number, lambda *_: None)
    one = Drain()
    yield one
    for number, handler in before.items():
        signal.signal(number, handler)


def from_a_thread(call, *words):
    thread = threading.Thread(target=call, args=words)
    thread.start()
    thread.join(WITHIN_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_drains_and_the_second_hurries(drain, number):
    drain.listen()
    signal.raise_signal(number)
    assert (drain.asked.is_set(), drain.hurried.is_set()) == (True, False)
    signal.raise_signal(signal.SIGTERM)
    assert drain.hurried.is_set()
    signal.raise_signal(signal.SIGTERM)


def test_what_was_to_be_called_before_is_called_each_time(drain):
    seen = []
    signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    drain.listen()
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    assert seen == [signal.SIGTERM] * 2


def test_sigquit_is_in_a_hurry_at_once(drain):
    drain.listen()
    signal.raise_signal(signal.SIGQUIT)
    assert (drain.asked.is_set(), drain.hurried.is_set()) == (True, True)


def test_an_order_is_no_signal_so_that_a_signal_after_it_is_the_first(drain):
    drain.listen()
    from_a_thread(drain.order, "asked by ada")
    assert drain.asked.wait(WITHIN_S)
    assert drain.why == "asked by ada"
    signal.raise_signal(signal.SIGTERM)
    assert not drain.hurried.is_set()
    signal.raise_signal(signal.SIGTERM)
    assert drain.hurried.is_set()


def test_an_order_that_comes_before_tasks_are_taken_waits_until_they_are(drain):
    from_a_thread(drain.order, "asked by ada")
    assert not drain.asked.is_set()
    drain.listen()
    assert drain.asked.wait(WITHIN_S)


def test_a_second_order_changes_nothing(drain):
    drain.listen()
    from_a_thread(drain.order, "asked by ada")
    from_a_thread(drain.order, "asked by eve")
    assert drain.asked.wait(WITHIN_S)
    assert (drain.why, drain.hurried.is_set()) == ("asked by ada", False)


def test_a_worker_that_lost_its_name_leaves_at_once(drain):
    drain.listen()
    from_a_thread(drain.at_once, "another worker has its name")
    assert drain.asked.wait(WITHIN_S)
    assert drain.hurried.is_set()


def test_a_drain_is_told_and_shown_as_soon_as_it_is_asked_for(drain, caplog):
    shown = threading.Event()
    thread = watch(drain, show=shown.set)
    drain.listen()
    assert not shown.is_set()
    os.kill(os.getpid(), signal.SIGTERM)
    assert shown.wait(WITHIN_S)
    thread.join(WITHIN_S)
    assert f"handed over within {DRAIN_WITHIN_S:g} s" in caplog.text
    assert "a second SIGTERM stops all at once" in caplog.text


def test_a_load_waits_for_a_successor_so_long_and_then_for_its_last_answers():
    one = leave(100.0, end_s=1000.0, answers_s=60.0)
    assert one.halt_at_s == 100.0 + DRAIN_WITHIN_S
    assert one.why() == "draining: no successor was ready within 10 s"
    one.hand_over(105.0)
    assert one.halt_at_s == 105.0 + 60.0 + LAST_WORDS_S
    assert "its last requests had no end 63 s after the hand-over" in one.why()


def test_a_load_that_ends_by_itself_before_that_may_end():
    assert leave(100.0, end_s=101.0, answers_s=60.0).halt_at_s == 101.0 + 60.0 + LAST_WORDS_S


ENDS_WITHIN_S = 25.0
"""With Redis away, and without a hand-over: what is undelivered is waited for a while at the end."""


def test_a_drained_worker_goes_on_until_its_shard_is_taken_over_and_no_arrival_is_missing(
    stage, scene, target_log
):
    url, log, worker = scene
    spec = stage.load(url, duration_s=8.0)
    task = stage.place(spec, kind="load")
    stage.fact(Ready)
    stage.worker("w2")
    start_s = stage.start(task)
    stage.until(lambda: len(target_log(log, "received")) > 20)
    worker.send_signal(signal.SIGTERM)
    stage.fact(Draining)
    stage.until(lambda: stage.card("w1").draining)
    second = stage.place(spec, kind="load", worker="w2", number=2)
    stage.until(lambda: len(stage.facts(Ready)) == 2)
    before = len(target_log(log, "received"))
    stage.until(lambda: len(target_log(log, "received")) > before)
    stage.hand_over(task, time.time() - start_s + 0.3)
    yielded = stage.fact(Yielded)
    stage.start(second, in_s=start_s - time.time(), from_s=yielded.until_s)
    assert worker.wait(10) == 0
    first = stage.fact(Exited)
    assert (first.attempt, first.outcome, first.why) == (task.attempt, "stopped", "handed over")
    last = stage.until(lambda: len(ends := stage.facts(Exited)) == 2 and ends[1])
    assert last.outcome == "done"
    ids = Counter(int(line["id"].split("/")[1]) for line in target_log(log, "received"))
    assert sorted(ids) == list(range(stage.offered(spec))), "none is missing"
    assert max(ids.values()) == 1, "none was sent twice"
    counted = stage.totals([*stage.snapshots(task), *stage.snapshots(second)])
    assert counted == {"ok": len(ids)}


def test_a_drained_worker_without_a_successor_stops_by_itself_in_a_bounded_time(stage, scene, target_log):
    url, log, worker = scene
    task = stage.place(stage.load(url, duration_s=60.0), kind="load")
    stage.fact(Ready)
    stage.start(task)
    stage.until(lambda: len(target_log(log, "received")) > 20)
    worker.send_signal(signal.SIGTERM)
    asked_s = time.monotonic()
    stage.fact(Draining)
    exited = stage.fact(Exited, 3 * DRAIN_WITHIN_S)
    assert time.monotonic() - asked_s > DRAIN_WITHIN_S - 1
    assert exited.outcome == "stopped"
    assert exited.why == "draining: no successor was ready within 10 s"
    assert exited.known
    assert worker.wait(10) == 0
    counted = stage.totals(stage.snapshots(task)).items()
    sent = sum(count for outcome, count in counted if not outcome.startswith("unsent"))
    assert sent == len(target_log(log, "received"))


def test_a_second_signal_stops_a_draining_worker_at_once(stage, scene, target_log):
    url, log, worker = scene
    task = stage.place(stage.load(url, duration_s=60.0), kind="load")
    stage.fact(Ready)
    stage.start(task)
    stage.until(lambda: len(target_log(log, "received")) > 20)
    worker.send_signal(signal.SIGTERM)
    stage.fact(Draining)
    worker.send_signal(signal.SIGTERM)
    exited = stage.fact(Exited, 0.7 * DRAIN_WITHIN_S)
    assert (exited.outcome, exited.why) == ("stopped", "draining")
    assert worker.wait(10) == 0


def test_an_attempt_that_has_not_begun_stops_as_soon_as_its_worker_drains(stage, scene):
    url, _, worker = scene
    stage.place(stage.load(url, duration_s=60.0), kind="load")
    stage.fact(Ready)
    worker.send_signal(signal.SIGTERM)
    exited = stage.fact(Exited, 0.7 * DRAIN_WITHIN_S)
    assert (exited.outcome, exited.why, exited.dispatched) == ("stopped", "draining", 0)
    assert stage.facts(Draining) == []
    assert worker.wait(10) == 0


def test_a_batch_of_golden_cases_stops_at_once_for_any_other_may_go_on_with_the_rest(stage, scene):
    url, _, worker = scene
    message = {"messages": [{"role": "user", "content": "one two"}], "max_tokens": 2}
    cases = [{"id": str(row), "request": message, "expected": {"content": "one two"}} for row in range(5000)]
    body = b"".join(msgspec.json.encode(case) + b"\n" for case in cases)
    golden = FileRef(hashlib.sha256(body).hexdigest(), len(body), "golden.jsonl")
    stage.client.rpush(names.file_chunks(golden.sha256), body)
    spec = RegressionSpec(
        campaign="trial-1", phase="p", activity="golden", target=stage.load(url, duration_s=1.0).target,
        golden=golden, compare={}, concurrency=1, limit=None, bounds=(), tag_groups=(), seed=1, fence_s=10.0,
    )  # fmt: skip
    task = stage.place(spec, kind="regression")
    stage.fact(Ready)
    stage.start(task)
    stage.until(lambda: [shot for shot in stage.snapshots(task) if shot.cases])
    worker.send_signal(signal.SIGTERM)
    exited = stage.fact(Exited, 0.7 * DRAIN_WITHIN_S)
    assert (exited.outcome, exited.why) == ("stopped", "draining")
    assert stage.facts(Draining) == []
    assert worker.wait(10) == 0


def test_a_load_that_is_about_to_end_by_itself_is_let_end(stage, scene, target_log):
    url, log, worker = scene
    spec = stage.load(url, duration_s=3.0)
    task = stage.place(spec, kind="load")
    stage.fact(Ready)
    stage.start(task)
    stage.until(lambda: len(target_log(log, "received")) > 20)
    worker.send_signal(signal.SIGTERM)
    exited = stage.fact(Exited)
    assert (exited.outcome, exited.dispatched) == ("done", stage.offered(spec))
    assert worker.wait(10) == 0


def test_a_drain_asked_for_in_redis_counts_for_the_life_that_it_names(stage, scene):
    _, _, worker = scene
    card = stage.card("w1")
    other = DrainAsked("w1", "a former life", by="ada", at_s=time.time())
    stage.client.hset(names.DRAIN, "w1", encode_drain(other))
    seen_s = card.seen_s
    stage.until(lambda: stage.card("w1").seen_s > seen_s + 1.5)
    assert not stage.card("w1").draining
    asked = DrainAsked("w1", card.incarnation, by="ada", why="a new kernel", at_s=time.time())
    stage.client.hset(names.DRAIN, "w1", encode_drain(asked))
    assert worker.wait(10) == 0
    assert stage.card("w1") is None


def test_a_worker_that_is_drained_while_redis_hangs_ends_all_the_same(lone_stage, target_log):
    stage, server = lone_stage
    stage.lead()
    url, log = stage.target("--ttft", "5ms", "--gap", "1ms", "--tokens", "4")
    worker = stage.worker()
    task = stage.place(stage.load(url, duration_s=60.0), kind="load")
    stage.fact(Ready)
    stage.start(task)
    stage.until(lambda: len(target_log(log, "received")) > 20)
    server.pause()
    worker.send_signal(signal.SIGTERM)
    asked_s = time.monotonic()
    stage.until(lambda: time.monotonic() > asked_s + 1)  # two signals at once are one
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(3 * ENDS_WITHIN_S) == 0
    assert max(line["received"] for line in target_log(log, "received")) < time.time() - 1
