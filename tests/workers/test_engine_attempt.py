"""Load attempts end to end: a real worker, a real engine, a real target whose own log is the oracle."""

import hashlib
import re
import signal
import socket
import time
from collections import Counter

import msgspec
import psutil
import pytest

from workers.app import build
from workers.contract import names
from workers.contract.data import FileData, Fixed, SyntheticData
from workers.contract.facts import Claimed, Exited, NotReady, Ready
from workers.contract.schedule import ClosedArrivals, OpenArrivals, Segment, blocks
from workers.contract.spec import FileRef, LoadSpec, RegressionSpec, TargetSpec


def load(url: str, *, rate_per_s: float = 40.0, duration_s: float = 3.0, fence_s: float = 10.0) -> LoadSpec:
    arrivals = OpenArrivals("poisson", (Segment(0.0, duration_s, rate_per_s, rate_per_s),), 7, "peak")
    target = TargetSpec(
        name="chat", protocol="openai-chat", url=url, options={"url": url, "model": "demo"}, timeout_s=5.0
    )
    return LoadSpec(
        campaign="trial-1", phase="p", activity="peak", kind="load", target=target, arrivals=arrivals,
        warmup_s=0.0, max_in_flight=200, data=SyntheticData(Fixed(8), Fixed(4)), bounds=(), tag_groups=(),
        seed=7, fence_s=fence_s,
    )  # fmt: skip


def offered(spec: LoadSpec) -> int:
    return sum(len(block.indices) for block in blocks(spec.arrivals))


def totals(snapshots) -> Counter:
    found = Counter()
    for each in snapshots:
        for cell in each.cells:
            found.update(cell.outcomes)
    return found


def engines(worker) -> list[psutil.Process]:
    children = psutil.Process(worker.pid).children()
    return [child for child in children if "workers.engine" in child.cmdline()]


@pytest.fixture
def scene(stage):
    """A worker and a quick target, under a leader."""
    stage.lead()
    url, log = stage.target("--ttft", "5ms", "--gap", "1ms", "--tokens", "4")
    worker = stage.worker()
    return url, log, worker


def test_a_load_runs_from_task_to_exit_and_reports_what_the_target_saw(stage, scene, target_log):
    url, log, _ = scene
    spec = load(url)
    task = stage.place(spec, kind="load")
    ready = stage.fact(Ready)
    assert ready.fingerprint
    assert not target_log(log, "received")
    start_s = stage.start(task)
    exited = stage.fact(Exited)
    assert (exited.outcome, exited.dispatched) == ("done", offered(spec))
    shots = stage.snapshots(task)
    assert [shot.seq for shot in shots] == list(range(1, exited.last_seq + 1))
    assert shots[-1].final
    ids = [line["id"] for line in target_log(log, "received")]
    assert sorted(ids) == sorted(f"peak/{index}/1" for index in range(offered(spec)))
    assert totals(shots) == {"ok": offered(spec)}
    first_s = min(line["received"] for line in target_log(log, "received"))
    assert -0.05 < first_s - start_s < 1.0
    assert exited.silent_s <= time.time() + 0.5
    assert not list((stage.folder / "home" / "marks").rglob("*-*"))


def test_an_engine_killed_in_the_middle_leaves_nothing_unknown(stage, scene, target_log):
    url, log, worker = scene
    task = stage.place(load(url, duration_s=30.0, rate_per_s=100.0), kind="load")
    stage.fact(Ready)
    stage.start(task)
    stage.until(lambda: len(target_log(log, "received")) > 150)
    busy = max(engines(worker), key=lambda engine: sum(engine.cpu_times()[:2]))
    busy.send_signal(signal.SIGKILL)
    exited = stage.fact(Exited, 5.0)
    assert (exited.outcome, exited.why) == ("died", "engine exited with signal 9")
    shots = stage.snapshots(task)
    assert [shot.seq for shot in shots] == list(range(1, exited.last_seq + 1))
    assert shots[-1].final
    received = target_log(log, "received")
    sent = sum(count for outcome, count in totals(shots).items() if not outcome.startswith("unsent"))
    assert sent == len(received)
    assert exited.dispatched >= len(received)
    assert abs(exited.silent_s - max(line["received"] for line in received)) < 1.0


def test_an_engine_is_silent_when_its_worker_is_killed(stage, scene, target_log):
    url, log, worker = scene
    task = stage.place(load(url, duration_s=30.0), kind="load")
    stage.fact(Ready)
    stage.start(task)
    stage.until(lambda: len(target_log(log, "received")) > 20)
    worker.kill()
    killed_s = time.time()
    stage.until(lambda: time.time() > killed_s + 2.0)
    assert max(line["received"] for line in target_log(log, "received")) < killed_s + 0.5


def test_an_engine_is_silent_after_the_fence_when_nobody_leads(stage, scene, target_log):
    url, log, _ = scene
    task = stage.place(load(url, duration_s=30.0, fence_s=1.0), kind="load")
    stage.fact(Ready)
    stage.start(task)
    stage.until(lambda: len(target_log(log, "received")) > 20)
    stage.client.delete(names.LEADER)
    gone_s = time.time()
    exited = stage.fact(Exited, 6.0)
    assert exited.outcome == "stopped"
    last_s = max(line["received"] for line in target_log(log, "received"))
    assert gone_s < last_s < gone_s + 1.1


def test_a_revoked_attempt_stops_at_once(stage, scene, target_log):
    url, log, _ = scene
    task = stage.place(load(url, duration_s=30.0), kind="load")
    stage.fact(Ready)
    stage.start(task)
    stage.until(lambda: len(target_log(log, "received")) > 20)
    stage.client.hdel(names.leases(stage.campaign), task.attempt)
    revoked_s = time.time()
    exited = stage.fact(Exited, 4.0)
    assert exited.outcome == "stopped"
    assert "gave this attempt up" in exited.why
    assert max(line["received"] for line in target_log(log, "received")) < revoked_s + 1.0


def test_a_drained_worker_hands_its_shard_over_and_a_successor_goes_on(stage, scene, target_log):
    url, log, worker = scene
    spec = load(url, duration_s=4.0)
    task = stage.place(spec, kind="load")
    stage.fact(Ready)
    start_s = stage.start(task)
    stage.until(lambda: len(target_log(log, "received")) > 40)
    worker.send_signal(signal.SIGTERM)
    exited = stage.fact(Exited, 5.0)
    assert (exited.outcome, exited.why) == ("stopped", "draining")
    assert worker.wait(10) == 0
    stage.worker("w2")
    second = stage.place(spec, kind="load", worker="w2", number=2)
    stage.until(lambda: len(stage.facts(Ready)) == 2)
    from_s = exited.silent_s - start_s
    stage.start(second, in_s=start_s - time.time(), from_s=from_s)
    last = stage.until(lambda: len(ends := stage.facts(Exited)) == 2 and ends[1])
    assert last.outcome == "done"
    ids = Counter(line["id"].split("/")[1] for line in target_log(log, "received"))
    assert not [index for index, count in ids.items() if count > 1]
    assert sum(totals(stage.snapshots(task)).values()) == len(target_log(log, "received"))


def test_nothing_is_lost_while_redis_hangs_for_three_seconds(stage, scene, target_log, shared_valkey):
    url, log, _ = scene
    spec = load(url, duration_s=5.0)
    task = stage.place(spec, kind="load")
    stage.fact(Ready)
    stage.start(task)
    stage.until(lambda: len(target_log(log, "received")) > 20)
    shared_valkey.pause()
    paused_s = time.time()
    try:
        stage.until(lambda: time.time() > paused_s + 3.0)
    finally:
        shared_valkey.resume()
    exited = stage.fact(Exited)
    assert (exited.outcome, exited.dispatched) == ("done", offered(spec))
    assert [shot.seq for shot in stage.snapshots(task)] == list(range(1, exited.last_seq + 1))
    assert totals(stage.snapshots(task)) == {"ok": offered(spec)}


def test_after_a_failover_that_forgot_everything_the_worker_claims_and_sends_again(lone_stage):
    stage, server = lone_stage
    stage.lead()
    url, _ = stage.target("--ttft", "5ms", "--gap", "1ms", "--tokens", "4")
    stage.worker()
    spec = load(url, duration_s=4.0)
    task = stage.place(spec, kind="load")
    stage.fact(Ready)
    stage.start(task)
    stage.until(lambda: len(stage.snapshots(task)) >= 2)
    server.replace()
    stage.lead()
    exited = stage.fact(Exited)
    assert exited.outcome == "done"
    assert [type(fact) for fact in stage.facts()] == [Claimed, Ready, Exited]
    assert [shot.seq for shot in stage.snapshots(task)] == list(range(1, exited.last_seq + 1))
    assert totals(stage.snapshots(task)) == {"ok": offered(spec)}


def test_flower_is_told_of_progress_while_a_load_runs(stage, scene):
    url, _, _ = scene
    task = stage.place(load(url, duration_s=10.0), kind="load")
    stage.fact(Ready)
    stage.start(task)
    heard: list[str] = []
    with build(stage.url) as app, app.connection() as connection:

        def hear(event: dict) -> None:
            heard.append(event["result"])
            receiver.should_stop = "%" in heard[-1]

        receiver = app.events.Receiver(connection, handlers={"task-progress": hear})
        receiver.capture(limit=None, timeout=10)
    *before, last = heard
    assert set(before) <= {"preparing", "ready"}
    assert re.fullmatch(r"\d+% · \d+ req/s( · p99 \d+ ms)?", last)


def test_a_target_that_is_not_there_yet_is_told_of_and_waited_for(stage):
    stage.lead()
    stage.worker()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        task = stage.place(load(f"http://{address}"), kind="load", probe=True)
        assert address in stage.fact(NotReady).why
        stage.halt(task)
        assert stage.fact(Exited).outcome == "stopped"


def test_a_target_off_the_allow_list_is_refused_before_anything_is_sent(stage):
    stage.lead()
    stage.worker()
    stage.place(load("http://192.0.2.1:80"), kind="load")
    exited = stage.fact(Exited)
    assert exited.outcome == "refused"
    assert "192.0.2.1:80" in exited.why
    assert "--allow-target" in exited.why


def test_an_unset_secret_refuses_the_attempt_by_name(stage):
    stage.lead()
    stage.worker()
    spec = load("http://127.0.0.1:1")
    headers = {"authorization": "Bearer ${env:NOT_SET_ANYWHERE}"}
    target = msgspec.structs.replace(spec.target, headers=headers)
    stage.place(msgspec.structs.replace(spec, target=target), kind="load")
    exited = stage.fact(Exited)
    assert exited.outcome == "refused"
    assert "${env:NOT_SET_ANYWHERE} is not set on worker w1" in exited.why


def test_a_golden_set_is_fetched_by_its_content_and_judged_case_by_case(stage, scene):
    url, _, _ = scene
    message = {"messages": [{"role": "user", "content": "one two"}], "max_tokens": 2}
    cases = [
        {"id": "good", "request": message, "expected": {"content": "one two"}},
        {"id": "bad", "request": message, "expected": {"content": "three"}},
    ]
    body = b"".join(msgspec.json.encode(case) + b"\n" for case in cases)
    golden = FileRef(hashlib.sha256(body).hexdigest(), len(body), "golden.jsonl")
    stage.client.rpush(names.file_chunks(golden.sha256), body)
    spec = RegressionSpec(
        campaign="trial-1", phase="p", activity="golden", target=load(url).target, golden=golden, compare={},
        concurrency=2, limit=None, bounds=(), tag_groups=(), seed=1, fence_s=10.0,
    )  # fmt: skip
    task = stage.place(spec, kind="regression")
    stage.fact(Ready)
    stage.start(task)
    assert stage.fact(Exited).outcome == "done"
    judged = {case.case: case.passed for shot in stage.snapshots(task) for case in shot.cases}
    assert judged == {"good": True, "bad": False}


def test_a_load_from_a_data_file_gets_it_by_its_content(stage, scene):
    url, _, _ = scene
    body = b'{"prompt": "red"}\n{"prompt": "green blue"}\n'
    sha256 = hashlib.sha256(body).hexdigest()
    stage.client.rpush(names.file_chunks(sha256), body)
    spec = msgspec.structs.replace(load(url, duration_s=1.0), data=FileData(path=sha256, name="rows.jsonl"))
    task = stage.place(spec, kind="load")
    stage.fact(Ready)
    stage.start(task)
    assert stage.fact(Exited).outcome == "done"
    assert totals(stage.snapshots(task)) == {"ok": offered(spec)}
    assert (stage.folder / "home" / "files" / sha256).read_bytes() == body


CODE = b"""
from locust import HttpUser, constant, task


class Asking(HttpUser):
    wait_time = constant(0.05)

    @task
    def ask(self):
        self.client.get("/v1/models", name="models")
"""


def users_of(url: str, content: bytes) -> LoadSpec:
    ref = FileRef(hashlib.sha256(content).hexdigest(), len(content), "mine.py")
    users = ClosedArrivals(users=2, think_s=0.0, duration_s=1.5)
    return msgspec.structs.replace(load(url), arrivals=users, data=None, locustfile=ref)


def test_a_locustfile_runs_from_a_folder_that_the_worker_lists(stage, tmp_path):
    (tmp_path / "mine.py").write_bytes(CODE)
    stage.lead()
    url, _ = stage.target()
    stage.worker("w1", "--user-code", str(tmp_path))
    task = stage.place(users_of(url, CODE), kind="load")
    stage.fact(Ready)
    stage.start(task)
    exited = stage.fact(Exited)
    assert (exited.outcome, exited.why) == ("done", "")
    assert totals(stage.snapshots(task))["ok"] > 4


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "worker w1 runs no code of users: start it with --user-code DIR"),
        (("--user-code", "."), "has another mine.py than was submitted"),
        (("--user-code", "empty"), "has no mine.py in"),
    ],
)
def test_a_locustfile_of_another_folder_or_content_is_refused_by_name(stage, tmp_path, flags, said):
    (tmp_path / "mine.py").write_bytes(CODE + b"\n# changed")
    (tmp_path / "empty").mkdir()
    stage.lead()
    stage.worker("w1", *(str(tmp_path / flag) if flag in (".", "empty") else flag for flag in flags))
    stage.place(users_of("http://127.0.0.1:1", CODE), kind="load")
    exited = stage.fact(Exited)
    assert exited.outcome == "refused"
    assert said in exited.why
