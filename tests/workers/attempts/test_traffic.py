"""Load attempts end to end: a real worker, a real engine, a real target whose own log is the oracle."""

import hashlib
import re
import signal
import socket
import time

import msgspec
import psutil
import pytest

from workers.app import build
from workers.attempts.register import LIFE
from workers.contract.broker import names
from workers.contract.data import FileData
from workers.contract.facts import Claimed, Exited, NotReady, Ready
from workers.contract.schedule import ClosedArrivals
from workers.contract.spec import FileRef, LoadSpec, RegressionSpec


def engines(worker) -> list[psutil.Process]:
    children = psutil.Process(worker.pid).children()
    return [child for child in children if "workers.engine" in child.cmdline()]


def test_a_load_runs_from_task_to_exit_and_reports_what_the_target_saw(stage, scene, target_log):
    url, log, _ = scene
    spec = stage.load(url)
    task = stage.place(spec, kind="load")
    ready = stage.fact(Ready)
    assert ready.fingerprint
    assert not target_log(log, "received")
    start_s = stage.start(task)
    exited = stage.fact(Exited)
    assert (exited.outcome, exited.dispatched) == ("done", stage.offered(spec))
    shots = stage.snapshots(task)
    assert [shot.seq for shot in shots] == list(range(1, exited.last_seq + 1))
    assert shots[-1].final
    ids = [line["id"] for line in target_log(log, "received")]
    assert sorted(ids) == sorted(f"peak/{index}/1" for index in range(stage.offered(spec)))
    assert stage.totals(shots) == {"ok": stage.offered(spec)}
    first_s = min(line["received"] for line in target_log(log, "received"))
    assert -0.05 < first_s - start_s < 3.0
    assert exited.silent_s <= time.time() + 0.5
    marks = stage.folder / "home" / "marks"
    stage.until(lambda: [file.name for file in marks.rglob("*") if file.is_file()] == [LIFE])


def test_an_engine_killed_in_the_middle_leaves_nothing_unknown(stage, scene, target_log):
    url, log, worker = scene
    task = stage.place(stage.load(url, duration_s=30.0, rate_per_s=100.0), kind="load")
    stage.fact(Ready)
    stage.start(task)
    stage.until(lambda: len(target_log(log, "received")) > 150)
    busy = max(engines(worker), key=lambda engine: sum(engine.cpu_times()[:2]))
    busy.send_signal(signal.SIGKILL)
    exited = stage.fact(Exited)
    assert (exited.outcome, exited.why) == ("died", "engine exited with signal 9 (SIGKILL)")
    shots = stage.snapshots(task)
    assert [shot.seq for shot in shots] == list(range(1, exited.last_seq + 1))
    assert shots[-1].final
    sent = sum(count for outcome, count in stage.totals(shots).items() if not outcome.startswith("unsent"))
    unsure = sum("while writing a request" in words for words in shots[-1].warnings)
    received = stage.until(lambda: len(found := target_log(log, "received")) >= sent and found)
    assert sent <= len(received) <= sent + unsure
    assert exited.dispatched >= len(received)
    assert abs(exited.silent_s - max(line["received"] for line in received)) < 3.0


def test_an_engine_is_silent_when_its_worker_is_killed(stage, scene, target_log):
    url, log, worker = scene
    task = stage.place(stage.load(url, duration_s=30.0), kind="load")
    stage.fact(Ready)
    stage.start(task)
    stage.until(lambda: len(target_log(log, "received")) > 20)
    worker.kill()
    killed_s = time.time()
    stage.until(lambda: time.time() > killed_s + 4.0)
    assert max(line["received"] for line in target_log(log, "received")) < killed_s + 1.5


def test_an_engine_is_silent_after_the_fence_when_nobody_leads(stage, scene, target_log):
    url, log, _ = scene
    task = stage.place(stage.load(url, duration_s=30.0, fence_s=3.0), kind="load")
    stage.fact(Ready)
    stage.start(task)
    stage.until(lambda: len(target_log(log, "received")) > 20)
    stage.client.delete(names.LEADER)
    gone_s = time.time()
    exited = stage.fact(Exited, 12.0)
    assert exited.outcome == "stopped"
    last_s = max(line["received"] for line in target_log(log, "received"))
    assert gone_s < last_s < gone_s + 4.0


def test_a_revoked_attempt_stops_at_once(stage, scene, target_log):
    url, log, _ = scene
    task = stage.place(stage.load(url, duration_s=30.0), kind="load")
    stage.fact(Ready)
    stage.start(task)
    stage.until(lambda: len(target_log(log, "received")) > 20)
    stage.client.hdel(names.leases(stage.campaign), task.attempt)
    revoked_s = time.time()
    exited = stage.fact(Exited, 10.0)
    assert exited.outcome == "stopped"
    assert "gave this attempt up" in exited.why
    assert max(line["received"] for line in target_log(log, "received")) < revoked_s + 3.0


def test_nothing_is_lost_while_redis_hangs_for_three_seconds(stage, scene, target_log, shared_valkey):
    url, log, _ = scene
    spec = stage.load(url, duration_s=5.0)
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
    assert (exited.outcome, exited.dispatched) == ("done", stage.offered(spec))
    assert [shot.seq for shot in stage.snapshots(task)] == list(range(1, exited.last_seq + 1))
    assert stage.totals(stage.snapshots(task)) == {"ok": stage.offered(spec)}


def test_after_a_failover_that_forgot_everything_the_worker_claims_and_sends_again(lone_stage):
    stage, server = lone_stage
    stage.lead()
    url, _ = stage.target("--ttft", "5ms", "--gap", "1ms", "--tokens", "4")
    stage.worker()
    spec = stage.load(url, duration_s=4.0)
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
    assert stage.totals(stage.snapshots(task)) == {"ok": stage.offered(spec)}


def test_flower_is_told_of_progress_while_a_load_runs(stage, scene):
    url, _, _ = scene
    task = stage.place(stage.load(url, duration_s=10.0), kind="load")
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
        task = stage.place(stage.load(f"http://{address}"), kind="load", probe=True)
        assert address in stage.fact(NotReady).why
        stage.halt(task)
        assert stage.fact(Exited).outcome == "stopped"


def test_a_target_off_the_allow_list_is_refused_before_anything_is_sent(stage):
    stage.lead()
    stage.worker()
    stage.place(stage.load("http://192.0.2.1:80"), kind="load")
    exited = stage.fact(Exited)
    assert exited.outcome == "refused"
    assert "192.0.2.1:80" in exited.why
    assert "--allow-target" in exited.why


def test_an_unset_secret_refuses_the_attempt_by_name(stage):
    stage.lead()
    stage.worker()
    spec = stage.load("http://127.0.0.1:1")
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
        campaign="trial-1", phase="p", activity="golden", target=stage.load(url).target, golden=golden,
        compare={}, concurrency=2, limit=None, bounds=(), tag_groups=(), seed=1, fence_s=10.0,
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
    spec = msgspec.structs.replace(
        stage.load(url, duration_s=1.0), data=FileData(path=sha256, name="rows.jsonl")
    )
    task = stage.place(spec, kind="load")
    stage.fact(Ready)
    stage.start(task)
    assert stage.fact(Exited).outcome == "done"
    assert stage.totals(stage.snapshots(task)) == {"ok": stage.offered(spec)}
    assert (stage.folder / "home" / "files" / sha256).read_bytes() == body


CODE = b"""
from locust import HttpUser, constant, task


class Asking(HttpUser):
    wait_time = constant(0.05)

    @task
    def ask(self):
        self.client.get("/v1/models", name="models")
"""


def users_of(load: LoadSpec, content: bytes) -> LoadSpec:
    ref = FileRef(hashlib.sha256(content).hexdigest(), len(content), "mine.py")
    users = ClosedArrivals(users=2, think_s=0.0, duration_s=1.5)
    return msgspec.structs.replace(load, arrivals=users, data=None, locustfile=ref)


def test_a_locustfile_runs_from_a_folder_that_the_worker_lists(stage, tmp_path):
    (tmp_path / "mine.py").write_bytes(CODE)
    stage.lead()
    url, _ = stage.target()
    stage.worker("w1", "--user-code", str(tmp_path))
    task = stage.place(users_of(stage.load(url), CODE), kind="load")
    stage.fact(Ready)
    stage.start(task)
    exited = stage.fact(Exited)
    assert (exited.outcome, exited.why) == ("done", "")
    assert stage.totals(stage.snapshots(task))["ok"] > 4


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
    stage.place(users_of(stage.load("http://127.0.0.1:1"), CODE), kind="load")
    exited = stage.fact(Exited)
    assert exited.outcome == "refused"
    assert said in exited.why
