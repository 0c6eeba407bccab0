"""Users' own code in a real engine, against a real target whose own log is the truth."""

import hashlib
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from textwrap import dedent

import pytest

from workers.contract.schedule import ClosedArrivals
from workers.contract.sketch import from_wire, merge_all
from workers.contract.spec import FileRef
from workers.engine import wire

HEAD = """
import time
from locust import FastHttpUser, HttpUser, User, constant, events, task
"""
STEADY = """
class One(HttpUser):
    wait_time = constant(0.05)
    @task
    def ask(self):
        self.client.get("/fine", name="fine")
"""


class Seen:
    """A server: paths that it was asked for, with the time and the client's port."""

    def __init__(self):
        seen = self.asked = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                seen.append((self.path, time.monotonic(), self.client_address[1]))
                status = 500 if self.path == "/bad" else 200
                if self.path == "/slow":
                    time.sleep(0.5)
                self.send_response(status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def paths(self):
        return Counter(path for path, _, _ in self.asked)


@pytest.fixture
def seen():
    server = Seen()
    yield server
    server.server.shutdown()
    server.server.server_close()


@pytest.fixture
def users(engine, load, tmp_path):
    """Start an engine with a locustfile; it is prepared, not begun."""

    def start(url, code, *, count=2, duration_s=1.5, ramp_s=0.0, shard=0, of=1, timeout_s=2.0, **more):
        file = tmp_path / "mine.py"
        file.write_text(HEAD + dedent(code))
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        ref = FileRef(sha256, file.stat().st_size, "mine.py")
        arrivals = ClosedArrivals(users=count, think_s=0.0, duration_s=duration_s, ramp_s=ramp_s)
        spec = load(url, arrivals=arrivals, data=None, locustfile=ref, timeout_s=timeout_s, **more)
        return engine(spec, shard=shard, of=of, files={sha256: str(file)})

    return start


def run(child, *, within_s=60.0):
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin()
    return child.finished(within_s=within_s)


def warnings_of(child):
    return " | ".join(text for snapshot in child.snapshots for text in snapshot.warnings)


@pytest.mark.parametrize("base", ["HttpUser", "FastHttpUser"])
def test_every_request_of_the_users_is_counted_by_its_outcome_and_name(users, seen, base):
    child = users(
        seen.url,
        f"""
        class Mine({base}):
            wait_time = constant(0.02)
            @task
            def fine(self):
                self.client.get("/fine", name="fine")
            @task
            def bad(self):
                self.client.get("/bad", name="bad")
            @task
            def disliked(self):
                with self.client.get("/liked", catch_response=True) as answer:
                    answer.failure("I do not like it")
        """,
        tag_groups=(("name", "fine"),),
    )
    end = run(child)
    assert end.outcome == "done", end.why
    paths, outcomes = seen.paths(), child.outcomes()
    assert outcomes == {"ok": paths["/fine"], "http_500": paths["/bad"], "invalid": paths["/liked"]}
    assert child.outcomes("name=fine") == {"ok": paths["/fine"]}
    assert child.outcomes("@endpoint=GET bad") == {"http_500": paths["/bad"]}
    ids = [one.request_id for snapshot in child.snapshots for one in snapshot.examples]
    assert all(name.startswith("surge/") for name in ids)
    assert "fence is not asked before each send" in warnings_of(child)


def test_times_are_those_that_locust_tells(users, seen):
    code = """
    class Mine(HttpUser):
        @task
        def slow(self):
            self.client.get("/slow")
    """
    child = users(seen.url, code, count=1)
    run(child)
    cells = [cell for snapshot in child.snapshots for cell in snapshot.cells if not cell.group]
    latency = merge_all(from_wire(cell.sketches["latency"]) for cell in cells if "latency" in cell.sketches)
    assert latency.low >= 0.5
    assert latency.count == child.outcomes()["ok"]
    assert not any("lag" in cell.sketches for cell in cells)


def test_a_file_may_set_up_itself_weigh_its_users_and_read_options(users, seen):
    child = users(
        seen.url,
        """
        told = []

        @events.init_command_line_parser.add_listener
        def options(parser):
            parser.add_argument("--greeting", default="hello")

        @events.test_start.add_listener
        def begin(environment, **_):
            told.append(environment.parsed_options.greeting)

        class Rare(HttpUser):
            weight = 1
            wait_time = constant(0.1)
            def on_start(self):
                self.client.get("/start-" + told[0])
            @task
            def ask(self):
                self.client.get("/rare")

        class Often(Rare):
            weight = 3

        class Never(HttpUser):
            abstract = True
        """,
        count=8,
    )
    run(child)
    ports = {port for path, _, port in seen.asked if path == "/start-hello"}
    assert len(ports) == 8


def test_users_of_all_shards_are_mixed_as_one_machine_would(users, seen):
    code = """
    class A(HttpUser):
        weight = 1
        @task
        def ask(self):
            self.client.get("/a")
            time.sleep(0.2)
    class B(HttpUser):
        weight = 3
        @task
        def ask(self):
            self.client.get("/b")
            time.sleep(0.2)
    """
    for shard in range(2):
        child = users(seen.url, code, count=4, duration_s=2.0, shard=shard, of=2)
        run(child)
    by_path = {path: {port for one, _, port in seen.asked if one == path} for path in ("/a", "/b")}
    assert {path: len(ports) for path, ports in by_path.items()} == {"/a": 1, "/b": 3}


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("x = 1", "has no class made of locust.User"),
        ("import nothing_of_that_name", "line 4: ModuleNotFoundError"),
        ("def f():\n    raise KeyError('deep')\n\nf()", "line 5: KeyError: 'deep'"),
        ("class", "line 4: SyntaxError"),
        ("from locust import LoadTestShape\nclass S(LoadTestShape):\n    pass\n" + STEADY, "LoadTestShape"),
    ],
)
def test_a_file_that_cannot_be_run_is_refused_by_its_line(users, seen, code, named):
    child = users(seen.url, code)
    end = child.finished()
    assert end.outcome == "error"
    assert "mine.py" in end.why
    assert named in end.why


def test_a_file_changed_since_its_submission_is_not_run(engine, load, tmp_path, seen):
    file = tmp_path / "mine.py"
    file.write_text(HEAD + STEADY)
    ref = FileRef("0" * 64, 1, "mine.py")
    arrivals = ClosedArrivals(users=1, think_s=0.0, duration_s=1.0)
    spec = load(seen.url, arrivals=arrivals, data=None, locustfile=ref)
    end = engine(spec, files={"0" * 64: str(file)}).finished()
    assert end.outcome == "error"
    assert "was changed" in end.why


@pytest.mark.parametrize(
    "connect",
    [
        'self.client.get("http://192.0.2.7:9/x")',
        '__import__("socket").create_connection(("192.0.2.7", 9), timeout=1)',
        '__import__("socket").socket(__import__("socket").AF_UNIX).connect("/run/x.sock")',
    ],
)
def test_an_address_that_is_not_listed_ends_the_attempt(users, seen, connect):
    code = f"""
    class Mine(HttpUser):
        @task
        def wander(self):
            {connect}
            time.sleep(0.1)
    """
    end = run(users(seen.url, code, duration_s=20.0))
    assert end.outcome == "refused"
    assert "192.0.2.7" in end.why or "/run/x.sock" in end.why
    assert "nothing was sent to it" in end.why


def test_errors_of_a_task_are_said_and_the_user_goes_on(users, seen):
    code = """
    class Mine(HttpUser):
        wait_time = constant(0.02)
        @task
        def broken(self):
            self.client.get("/fine")
            raise KeyError("oops")
    """
    child = users(seen.url, code)
    run(child)
    assert seen.paths()["/fine"] > 3
    assert "a task of Mine raised KeyError: 'oops'" in warnings_of(child)


def test_past_the_fence_no_byte_leaves_even_from_users_that_catch_everything(users, seen):
    code = """
    class Mine(HttpUser):
        @task
        def stubborn(self):
            while True:
                try:
                    self.client.get("/fine")
                    time.sleep(0.01)
                except BaseException:
                    pass
    """
    child = users(seen.url, code, duration_s=30.0)
    child.listen(wire.Prepared)
    fence_s = time.monotonic() + 2.0
    child.authorise(2.0)
    child.begin()
    end = child.finished()
    assert end.outcome == "stopped"
    assert seen.paths()["/fine"] > 10
    assert max(moment for _, moment, _ in seen.asked) < fence_s + 1.0


def test_an_engine_that_users_keep_busy_dies_by_itself_after_the_fence(users, seen):
    code = """
    class Mine(HttpUser):
        @task
        def hog(self):
            self.client.get("/fine")
            while True:
                pass
    """
    child = users(seen.url, code, duration_s=60.0)
    child.listen(wire.Prepared)
    child.authorise(2.0)
    child.begin()
    assert child.process.wait(20.0) == 1


def test_users_that_hang_at_the_end_are_killed_and_said(users, seen):
    code = """
    class Mine(HttpUser):
        @task
        def hang(self):
            self.client.get("/fine")
            while True:
                try:
                    time.sleep(100)
                except BaseException:
                    pass
    """
    child = users(seen.url, code, duration_s=1.0, timeout_s=1.0)
    end = run(child, within_s=15.0)
    assert end.outcome == "done"
    assert child.outcomes() == {"ok": 2}
    assert "did not stop in time" in warnings_of(child)


def test_a_halt_ends_it_at_once(users, seen):
    child = users(seen.url, STEADY, duration_s=60.0)
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin()
    child.listen(wire.Taken)
    child.say(wire.Halt("enough"))
    end = child.finished(within_s=6.0)
    assert (end.outcome, end.why) == ("stopped", "enough")


def test_the_number_of_users_grows_over_the_ramp(users, seen):
    code = """
    class Mine(HttpUser):
        wait_time = constant(100)
        @task
        def once(self):
            self.client.get("/fine")
    """
    child = users(seen.url, code, count=4, duration_s=4.0, ramp_s=2.0, timeout_s=0.5)
    child.listen(wire.Prepared)
    child.authorise(60)
    start_s = child.begin() / 1e9
    child.finished()
    moments = sorted(moment - start_s for _, moment, _ in seen.asked)
    assert len(moments) == 4
    assert all(moment >= 0.5 * number for number, moment in enumerate(moments))


def test_names_without_end_are_not_told_apart_for_ever(users, seen):
    code = """
    class Mine(FastHttpUser):
        n = 0
        @task
        def ask(self):
            Mine.n += 1
            self.client.get(f"/item/{Mine.n}")
            assert not self.environment.stats.entries, "Locust keeps statistics of its own"
    """
    child = users(seen.url, code)
    run(child)
    groups = {cell.group for snapshot in child.snapshots for cell in snapshot.cells}
    assert sum(group.startswith("@endpoint=") for group in groups) == 50
    assert "over 50 names" in warnings_of(child)
    assert "statistics of its own" not in warnings_of(child)


@pytest.mark.parametrize("way", ["quit", "stop"])
def test_a_file_that_ends_its_own_test_is_believed_and_said(users, seen, way):
    code = f"""
    class Mine(HttpUser):
        @task
        def ask(self):
            self.client.get("/fine")
            self.environment.runner.{way}()
    """
    child = users(seen.url, code, duration_s=30.0, timeout_s=1.0)
    assert run(child, within_s=20.0).outcome == "done"
    assert "ended its own test before the duration was over" in warnings_of(child)
    assert child.outcomes()["ok"] >= 1


def test_users_of_a_locustfile_that_are_handed_over_end_what_they_are_at_and_begin_nothing(users, seen):
    child = users(seen.url, STEADY, duration_s=60.0)
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin()
    child.say(wire.HandOver(2.0))
    assert child.listen(wire.Yielded).until_s == 2.0
    end = child.finished(within_s=20.0)
    assert (end.outcome, end.why) == ("stopped", "handed over")
    assert child.outcomes() == {"ok": seen.paths()["/fine"]}
    assert "ended its own test" not in warnings_of(child)
