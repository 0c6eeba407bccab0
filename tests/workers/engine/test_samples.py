"""Samples and the slowest requests of a real engine, held against its target's own log."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from workers.contract.data import Fixed, SyntheticData
from workers.contract.samples import SampleSpec, gaps_of, picks, read_spool, trace_id
from workers.contract.schedule import ClosedArrivals
from workers.contract.snapshot import ErrorExample, SlowRequest
from workers.contract.spec import FileRef, TargetSpec
from workers.engine import wire


@pytest.fixture
def run(engine, demo, load, prepare, tmp_path) -> Callable[..., Any]:
    """Run a load to its end with samples kept under `tmp_path`/spool; the engine and its target."""

    def go(
        *flags: str,
        share: float = 1.0,
        secrets: tuple[str, ...] = (),
        spooled: bool = True,
        headers: dict[str, str] | None = None,
        files: dict[str, str] | None = None,
        **more: Any,
    ):
        target = demo(*flags)
        spec = load(target.url, samples=SampleSpec(share, "memory://nowhere"), **more)
        child = engine()
        (tmp_path / "spool").mkdir()
        order = prepare(spec, child.mark, files=files)
        seen = wire.Seen(secrets, str(tmp_path / "spool" / "a") if spooled else "")
        child.say(msgspec.structs.replace(order, seen=seen, headers=headers or {}))
        assert isinstance(child.listen(wire.Prepared), wire.Prepared)
        child.begin()
        child.authorise(30.0)
        return child, target

    return go


def kept(folder: Path) -> list[Any]:
    return [one for file in sorted(folder.iterdir()) for samples in read_spool(file)[1] for one in samples]


def examples(child) -> list[ErrorExample]:
    return [one for snapshot in child.snapshots for one in snapshot.examples]


def slowest(child) -> list[SlowRequest]:
    return [one for snapshot in child.snapshots for one in snapshot.slowest]


def test_all_leaves_one_row_for_each_request_that_reached_the_target(run, tmp_path):
    child, target = run("--error-rate", "20%", "--seed", "3", rate=100.0, warmup_s=0.5)
    child.finished()
    rows = kept(tmp_path / "spool")
    assert sorted(row.index for row in rows) == target.indices()
    assert [file.suffix for file in (tmp_path / "spool").iterdir()] == [".done"]
    outcomes = child.outcomes()
    assert sum(row.outcome == "ok" for row in rows) == outcomes["ok"]
    assert sum(row.outcome == "http_503" for row in rows) == outcomes["http_503"] > 0
    assert sum(snapshot.sampled for snapshot in child.snapshots) == len(rows)
    for row in rows:
        assert row.request_id == f"surge/{row.index}/1"
        assert row.status == (200 if row.outcome == "ok" else 503)
        assert row.latency_s == pytest.approx(
            row.wait_s + row.connect_s + row.lag_s + row.service_time_s, abs=1e-6
        )
        assert row.sent_s == pytest.approx(row.intended_s + row.wait_s + row.connect_s + row.lag_s, abs=1e-6)


def test_a_share_keeps_those_that_are_picked_and_no_others(run, tmp_path):
    child, target = run(rate=200.0, share=0.2)
    child.finished()
    rows = kept(tmp_path / "spool")
    assert sorted(row.index for row in rows) == [one for one in target.indices() if picks(1, one, 0.2)]
    assert sum(snapshot.sampled for snapshot in child.snapshots) == len(rows)


def test_an_engine_that_is_killed_loses_the_last_second_of_samples_alone(run, tmp_path):
    child, target = run(rate=100.0, duration_s=30.0)
    while len(child.snapshots) < 4:
        child.listen(wire.Taken)
    child.close()
    (file,) = (tmp_path / "spool").iterdir()
    assert file.suffix == ".open"
    rows = kept(tmp_path / "spool")
    assert rows
    indices = {row.index for row in rows}
    assert len(indices) == len(rows)
    assert indices <= set(target.indices())
    reported = sum(snapshot.sampled for snapshot in child.snapshots[:-2])
    assert len(rows) >= reported


def test_without_a_place_requests_are_counted_and_go_on(run, tmp_path):
    child, target = run(rate=50.0, spooled=False)
    child.finished()
    assert sum(snapshot.sampled for snapshot in child.snapshots) == len(target.indices())
    assert list((tmp_path / "spool").iterdir()) == []


def test_samples_that_cannot_be_written_are_said_and_the_load_goes_on(run, tmp_path):
    child, target = run(rate=50.0, duration_s=3.0)
    (tmp_path / "spool").rmdir()
    child.finished()
    assert child.outcomes()["ok"] == len(target.indices()) > 0
    warnings = [one for snapshot in child.snapshots for one in snapshot.warnings]
    assert len([one for one in warnings if "samples are not written: No such file" in one]) == 1


def test_the_slowest_are_told_with_their_trace_and_how_they_began(run):
    child, target = run("--service-time", "20ms", rate=60.0, warmup_s=0.5, share=0.001)
    child.finished()
    found = slowest(child)
    assert len(found) >= 20
    judged = {line["id"] for line in target.lines("received")}
    for one in found:
        assert one.request_id in judged
        assert one.intended_s >= 0.5, "none of the warm-up"
        assert one.trace_id == hashlib.sha256(f"trial/{one.request_id}".encode()).hexdigest()[:32]
        assert one.status == 200
        assert one.latency_s >= one.service_time_s >= 0.02
        assert one.asked.startswith('{"')
        assert "OUTPUT0" in one.answered


def test_failed_requests_are_told_without_secrets(run):
    child, _ = run("--error-rate", "100%", rate=50.0, secrets=("refused on purpose",))
    child.finished()
    found = examples(child)
    assert found
    for one in found:
        assert "on purpose" not in one.text + one.excerpt
        assert "[masked]" in one.text
        assert "[masked]" in one.excerpt
        assert one.trace_id == trace_id("trial", one.request_id)
    failed = slowest(child)
    assert {one.outcome for one in failed} == {"http_503"}
    assert len({one.request_id for one in failed if one.intended_s < 1}) <= 10 * len(child.snapshots)


def test_a_stream_keeps_its_gaps_and_tokens(run, demo, tmp_path):
    url = demo("--ttft", "20ms", "--gap", "5ms", "--tokens", "8").url
    options = {"url": url, "model": "demo"}
    child, _ = run(
        rate=20.0,
        target=TargetSpec("t", "openai-chat", url, options, 5.0),
        data=SyntheticData(Fixed(8), Fixed(8), Fixed(0)),
    )
    child.finished()
    rows = [row for row in kept(tmp_path / "spool") if row.outcome == "ok"]
    assert rows
    tails_s = []
    for row in rows:
        gaps = list(gaps_of(row.itl))
        assert (len(gaps), row.output_tokens) == (7, 8)
        assert row.ttft_s is not None
        assert row.tpot_s == pytest.approx(sum(gaps) / 7, rel=1e-3)
        tails_s.append(row.latency_s - row.ttft_s - sum(gaps))
    assert min(tails_s) > -1e-3, "the last token is not behind the last byte"
    assert sorted(tails_s)[len(tails_s) // 2] < 0.05


@pytest.fixture
def parrot() -> Iterator[tuple[str, dict[str, str]]]:
    """A target that refuses everything and repeats the headers: its URL, and request id -> traceparent."""
    seen: dict[str, str] = {}

    class Parrot(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            seen[self.headers["x-shakeout-id"]] = self.headers["traceparent"]
            body = json.dumps({"error": f"no user {self.headers['authorization']}"}).encode()
            self.send_response(401)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Parrot)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()


def test_traces_are_those_that_the_target_saw_and_a_key_that_it_repeats_is_not_kept(run, parrot, tmp_path):
    url, seen = parrot
    options = {"url": url, "path": "/v1/x"}
    headers = {"authorization": "Bearer not-to-be-seen-1"}
    child, _ = run(
        rate=20.0,
        secrets=tuple(headers.values()),
        target=TargetSpec("t", "json-http", url, options, 5.0, headers),
        headers=headers,
    )
    child.finished()
    rows = kept(tmp_path / "spool")
    assert {row.request_id for row in rows} == set(seen)
    for row in rows:
        assert seen[row.request_id].split("-")[1] == trace_id("trial", row.request_id)
    told = [*rows, *slowest(child), *examples(child)]
    assert {one.outcome for one in told} == {"http_401"}
    assert "no user [masked]" in str(told)
    assert "not-to-be-seen" not in str(told)


def test_requests_of_a_locustfile_are_kept_as_far_as_they_were_overheard(run, demo, tmp_path):
    url = demo().url
    code = tmp_path / "mine.py"
    code.write_text(
        "from locust import HttpUser, constant, task\n\n"
        "class One(HttpUser):\n    wait_time = constant(0.05)\n"
        "    @task\n    def ask(self):\n        self.client.get('/none', name='missing')\n"
    )
    sha256 = hashlib.sha256(code.read_bytes()).hexdigest()
    child, _ = run(
        files={sha256: str(code)},
        target=TargetSpec("t", "json-http", url, {"url": url}, 5.0),
        arrivals=ClosedArrivals(users=2, think_s=0.0, duration_s=1.5),
        data=None,
        locustfile=FileRef(sha256, code.stat().st_size, "mine.py"),
    )
    child.finished()
    rows = kept(tmp_path / "spool")
    assert len(rows) == child.outcomes()["http_404"] > 0
    for row in rows:
        assert (row.tags, row.sent_s, row.status) == ({"name": "missing", "method": "GET"}, None, 0)
        assert row.latency_s > 0
    assert {one.trace_id for one in (*slowest(child), *examples(child))} == {""}, "nobody sent our trace"
