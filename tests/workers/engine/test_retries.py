"""Clients that try again, against real targets whose own logs are the truth."""

import http.server
import socket
import threading
import time
from collections import Counter
from datetime import UTC, datetime

import pytest

from workers.contract import behaviour
from workers.contract.schedule import ClosedArrivals
from workers.contract.sketch import from_wire, merge_all
from workers.contract.snapshot import RetryCounts
from workers.contract.spec import longest_s
from workers.engine import wire
from workers.engine.exchange import Exchange
from workers.engine.retries import Budget, asked_pause_s, pause_s
from workers.engine.watermark import Tally, closing_snapshot, read

S = 1_000_000_000
USUAL = ("connect", "reset", "http_429", "http_503")


def policy(**more):
    values = {
        "on": USUAL, "attempts": 4, "backoff_s": 0.01, "max_backoff_s": 0.1, "jitter": "full",
        "within_s": 5.0,
    }  # fmt: skip
    return behaviour.Retries(**(values | more))


def counts_of(child):
    """Sum over all snapshots."""
    total = RetryCounts()
    for one in [snapshot.retries for snapshot in child.snapshots]:
        for name in ("tries", "tried_again", "not_again"):
            setattr(total, name, dict(Counter(getattr(total, name)) + Counter(getattr(one, name))))
        total.written += one.written
        total.opened += one.opened
        total.held_back += one.held_back
    return total


def run(child, *, for_s=60):
    child.listen(wire.Prepared)
    child.authorise(for_s)
    child.begin()
    return child.finished(within_s=60.0)


@pytest.fixture
def scripted():
    """A server that answers the k-th try of each request as told: a status, "cut", or (status, headers)."""
    servers = []

    def start(*answers, hold_s=0.0):
        seen = Counter()
        times = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                name = self.headers["x-shakeout-id"]
                times.setdefault(name, []).append(time.monotonic())
                answer = answers[min(seen[name], len(answers) - 1)]
                seen[name] += 1
                if answer == "cut":
                    self.close_connection = True
                    return
                if hold_s and answer == 200:
                    time.sleep(hold_s)
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                body = b'{"outputs": []}'
                self.send_response(status)
                for key, value in {**headers, "content-length": str(len(body))}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """Say nothing."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}", seen, times

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("jitter", "low", "high"), [("none", 0.4, 0.4), ("equal", 0.2, 0.4), ("full", 0.0, 0.4)]
)
def test_pauses_double_and_chance_leaves_a_part_of_them(jitter, low, high):
    drawn = [
        pause_s(policy(backoff_s=0.1, max_backoff_s=9.0, jitter=jitter), 3, name=f"7/a/{k}")
        for k in range(200)
    ]
    assert low <= min(drawn) <= max(drawn) <= high
    assert max(drawn) - min(drawn) >= 0.8 * (high - low)


def test_a_pause_never_exceeds_the_longest_and_is_the_same_for_the_same_seed():
    one = policy(backoff_s=1.0, max_backoff_s=2.0, jitter="none")
    assert pause_s(one, 100, name="x") == 2.0
    assert pause_s(policy(), 2, name="7/a/1") == pause_s(policy(), 2, name="7/a/1")
    assert pause_s(policy(), 2, name="7/a/1") != pause_s(policy(), 2, name="8/a/1")


@pytest.mark.parametrize(
    ("line", "asked_s"),
    [
        ("retry-after: 7", 7.0),
        ("Retry-After: Fri, 01 Jan 2100 00:00:30 GMT", 30.0),
        ("retry-after: Fri, 31 Dec 2099 00:00:30 GMT", 0.0),
        ("retry-after: soon", 0.0),
        ("retry-after: -3", 0.0),
        ("x: 7", 0.0),
    ],
)
def test_the_wish_of_an_answer_is_read_as_seconds_or_as_a_date(line, asked_s):
    exchange = Exchange()
    exchange.head = f"HTTP/1.1 503 x\r\n{line}\r\n\r\n".encode()
    now = datetime(2100, 1, 1, tzinfo=UTC)
    assert asked_pause_s(exchange, now=now) == asked_s


def test_a_budget_lets_its_share_of_the_last_requests_through():
    budget = Budget(0.2)
    for at in range(10):
        budget.begun(at * S // 10)
    assert [budget.takes(S) for _ in range(3)] == [True, True, False]
    assert not budget.takes(20 * S)
    budget.begun(21 * S)
    assert not budget.takes(21 * S)
    assert Budget(None).takes(0)


def test_the_outcome_groups_of_expressions_are_understood():
    some = policy(on=("http_5xx", "http_429", "timeout"))
    assert [some.wants(one) for one in ("http_503", "http_429", "timeout")] == [True] * 3
    assert [some.wants(one) for one in ("http_404", "reset", "ok")] == [False] * 3


def test_one_arrival_stays_one_request_and_the_target_sees_every_try(demo, engine, load):
    target = demo("--service-time", "2ms", "--error-rate", "40%", "--seed", "5")
    child = engine(load(target.url, rate=100.0, duration_s=1.5, retries=policy(attempts=3)))
    run(child)
    counts, ids = counts_of(child), Counter(target.ids())
    tried = Counter(ids.values())
    assert counts.written == len(target.ids())
    assert counts.tries == dict(tried)
    assert sum(snapshot.sent for snapshot in child.snapshots) == len(ids)
    assert child.outcomes().total() == len(ids)
    assert child.outcomes()["http_503"] == counts.not_again["attempts"] > 0
    assert counts.tried_again == {"http_503": counts.written - len(ids)}
    assert tried[2] > 0
    assert tried[3] > 0


def test_latency_runs_to_the_last_try_and_the_pauses_are_no_lag(scripted, engine, load):
    url, seen, times = scripted(503, 503, 200)
    again = policy(jitter="none", backoff_s=0.1, max_backoff_s=0.2)
    child = engine(load(url, rate=20.0, duration_s=1.0, retries=again))
    run(child)
    assert set(seen.values()) == {3}
    assert child.outcomes() == {"ok": len(seen)}
    gaps = [(second - first, third - second) for first, second, third in times.values()]
    assert all(first >= 0.1 and second >= 0.2 for first, second in gaps)
    cells = [cell for snapshot in child.snapshots for cell in snapshot.cells]
    latency, service, lag = (
        merge_all(from_wire(cell.sketches[name]) for cell in cells if name in cell.sketches)
        for name in ("latency", "service_time", "lag")
    )
    assert latency.low >= 0.3 * 0.99
    assert service.low >= 0.3 * 0.99
    assert lag.quantile(0.5) < 0.1


def test_a_connection_cut_off_is_tried_again_and_counted_once(scripted, engine, load):
    url, seen, _ = scripted("cut", 200)
    child = engine(load(url, rate=30.0, duration_s=1.0, retries=policy()))
    run(child)
    assert child.outcomes() == {"ok": len(seen)}
    assert counts_of(child).written == 2 * len(seen)
    assert counts_of(child).tried_again == {"reset": len(seen)}


def test_outcomes_that_are_not_named_are_not_tried_again(scripted, engine, load):
    url, seen, _ = scripted(404, 200)
    child = engine(load(url, rate=30.0, duration_s=1.0, retries=policy()))
    run(child)
    assert child.outcomes() == {"http_404": len(seen)}
    assert counts_of(child).tries == {1: len(seen)}


def test_the_wish_of_an_answer_makes_the_pause_longer_up_to_the_longest(scripted, engine, load):
    url, seen, times = scripted((503, {"retry-after": "1"}), 200)
    child = engine(load(url, rate=10.0, duration_s=1.0, retries=policy(max_backoff_s=0.3)))
    run(child)
    assert child.outcomes() == {"ok": len(seen)}
    assert all(second - first >= 0.3 for first, second in times.values())


def test_no_try_begins_later_than_allowed(scripted, engine, load):
    url, seen, _ = scripted(503)
    late = policy(attempts=50, backoff_s=0.2, max_backoff_s=0.2, jitter="none", within_s=0.5)
    child = engine(load(url, rate=10.0, duration_s=1.0, retries=late))
    run(child)
    assert set(seen.values()) <= {1, 2, 3}
    assert counts_of(child).not_again == {"within": len(seen)}


def test_a_spent_budget_ends_the_storm(scripted, engine, load):
    url, seen, _ = scripted(503)
    child = engine(load(url, rate=100.0, duration_s=1.0, retries=policy(budget=0.1)))
    run(child)
    counts = counts_of(child)
    assert counts.written == len(seen) + counts.tried_again.get("http_503", 0)
    assert 1 <= counts.tried_again["http_503"] <= 0.1 * len(seen)
    assert counts.not_again["budget"] > 0


def test_an_open_breaker_sends_nothing_and_the_arrivals_count_against_the_target(scripted, engine, load):
    url, seen, _ = scripted(503)
    breaker = behaviour.Breaker(failures=0.5, window_s=10.0, open_for_s=30.0)
    child = engine(load(url, rate=100.0, duration_s=1.0, retries=policy(attempts=1, breaker=breaker)))
    run(child)
    counts, outcomes = counts_of(child), child.outcomes()
    assert counts.opened == 1
    assert counts.held_back == outcomes["unsent_target"] > 0
    assert outcomes["http_503"] == len(seen) == counts.written
    texts = [one.text for snapshot in child.snapshots for one in snapshot.examples]
    assert any("breaker is open" in text for text in texts)


def test_users_of_a_closed_loop_try_again_too(scripted, engine, load):
    url, seen, _ = scripted(503, 200)
    users = ClosedArrivals(users=3, think_s=0.05, duration_s=1.0)
    child = engine(load(url, arrivals=users, retries=policy()))
    run(child)
    assert child.outcomes() == {"ok": len(seen)}
    assert set(seen.values()) == {2}


def test_past_the_fence_no_try_leaves_and_what_was_sent_is_accounted_for(scripted, engine, load):
    url, seen, times = scripted(503)
    forever = policy(attempts=100, backoff_s=0.05, max_backoff_s=0.05, within_s=60.0)
    child = engine(load(url, rate=20.0, duration_s=20.0, retries=forever))
    child.listen(wire.Prepared)
    fence_s = time.monotonic() + 2.0
    child.authorise(2.0)
    child.begin()
    end = child.finished()
    assert end.outcome == "stopped"
    assert max(moment for tries in times.values() for moment in tries) <= fence_s + 1.0
    outcomes = child.outcomes()
    assert outcomes["http_503"] + outcomes["abandoned"] == len(seen)


def test_no_connection_at_all_is_tried_again_and_is_no_lag(engine, load):
    with socket.socket() as deaf:  # holds its port, and nobody listens there
        deaf.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        child = engine(load(url, rate=20.0, duration_s=1.0, retries=policy()))
        run(child)
    counts = counts_of(child)
    assert set(child.outcomes()) == {"connect"}
    assert counts.written == 0
    assert counts.tries == {4: child.outcomes()["connect"]}


def test_a_killed_engine_leaves_each_request_counted_once_however_often_it_was_tried(scripted, engine, load):
    url, seen, _ = scripted(503)
    forever = policy(attempts=100, backoff_s=0.1, max_backoff_s=0.1, within_s=60.0)
    spec = load(url, rate=40.0, duration_s=20.0, retries=forever)
    child = engine(spec)
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin()
    while sum(seen.values()) < 150:
        child.listen(wire.Taken)
    child.process.kill()
    child.process.wait()
    child.listen(wire.Finished)
    tally = Tally(longest_s(spec))
    for snapshot in child.snapshots:
        tally.add(snapshot)
    left = read(child.mark)
    unknown = 1 if left.writing else 0
    child.snapshots.append(
        closing_snapshot(left, tally, activity="surge", shard=0, attempt="surge:0:1", at_s=0.0, seq=99)
    )
    outcomes = child.outcomes()
    sent = outcomes["http_503"] + outcomes["abandoned"]
    assert outcomes["abandoned"] > 10
    until_s = time.monotonic() + 10.0
    while len(seen) < sent and time.monotonic() < until_s:  # what the dead engine wrote is still read
        time.sleep(0.01)
    assert sent <= len(seen) <= sent + unknown
    assert outcomes.total() + unknown == left.dispatched
