"""Conversations of several turns, against a real server that keeps what each turn said."""

import http.server
import json
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from workers.contract.behaviour import Sessions
from workers.contract.data import FileData
from workers.contract.schedule import ClosedArrivals, OpenArrivals, blocks
from workers.contract.sketch import from_wire, merge_all
from workers.contract.spec import TargetSpec, longest_s
from workers.engine import wire
from workers.engine.watermark import Tally, closing_snapshot, read


@dataclass
class Heard:
    """A chat server: where it listens; what each request id said, and when it came and was answered."""

    url: str = ""
    said: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    came: dict[str, float] = field(default_factory=dict)
    answered: dict[str, float] = field(default_factory=dict)

    def of_session(self, session, turns):
        """What the turns of a session said, in order."""
        names = [f"surge/{session * turns + turn}/1" for turn in range(turns)]
        return [self.said[name] for name in names if name in self.said]


@pytest.fixture
def chat():
    """Start chat servers that answer `re: LAST MESSAGE`; a message in `refuse` is answered 503."""
    servers = []

    def start(*, refuse=(), hold_s=0.0):
        heard = Heard()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                came = time.monotonic()
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                name = self.headers["x-shakeout-id"]
                heard.said[name], heard.came[name] = body["messages"], came
                last = body["messages"][-1]["content"]
                time.sleep(hold_s)
                message = {"role": "assistant", "content": f"re: {last}"}
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                answer = json.dumps({"choices": [choice]}).encode()
                self.send_response(503 if last in refuse else 200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                heard.answered[name] = time.monotonic()
                with suppress(ConnectionError):
                    self.wfile.write(answer)

            def log_message(self, *_):
                """Say nothing."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        heard.url = f"http://127.0.0.1:{server.server_port}"
        return heard

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def talk(load, tmp_path):
    """Make a load of conversations from rows."""

    def make(url, rows, *, turns=3, think_s=0.1, **more):
        file = tmp_path / "talk.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        options = {"url": url, "model": "m", "stream": False}
        target = TargetSpec("t", "openai-chat", url, options, more.pop("timeout_s", 5.0))
        groups = tuple(("turn", str(turn + 1)) for turn in range(turns))
        given = {"data": FileData(str(file), **more.pop("reading", {})), "tag_groups": groups, **more}
        return load(url, target=target, sessions=Sessions(turns, think_s), **given)

    return make


def run(child):
    word = child.listen(wire.Prepared, wire.Finished)
    if isinstance(word, wire.Finished):
        return word
    child.authorise(60)
    child.begin()
    return child.finished(within_s=60.0)


def counts_of(child):
    seen = [snapshot.sessions for snapshot in child.snapshots]
    broken = sum((Counter(one.broken) for one in seen), Counter())
    return {
        "begun": sum(one.begun for one in seen), "whole": sum(one.whole for one in seen),
        "broken": dict(broken), "over": sum(one.over for one in seen),
        "offered": seen[-1].offered, "waiting": seen[-1].waiting,
    }  # fmt: skip


def sessions_in(spec):
    return sum(len(block.indices) for block in blocks(spec.arrivals))


ROWS = [{"prompt": f"line {at}"} for at in range(7)]


def test_each_turn_carries_all_that_was_said_before(chat, engine, talk):
    heard = chat()
    spec = talk(heard.url, ROWS, rate=20.0, duration_s=2.0)
    child = engine(spec)
    run(child)
    first = [f"line {index % 7}" for index in range(3)]
    assert heard.of_session(0, 3) == [
        [{"role": "user", "content": first[0]}],
        [
            {"role": "user", "content": first[0]},
            {"role": "assistant", "content": f"re: {first[0]}"},
            {"role": "user", "content": first[1]},
        ],
        [
            {"role": "user", "content": first[0]},
            {"role": "assistant", "content": f"re: {first[0]}"},
            {"role": "user", "content": first[1]},
            {"role": "assistant", "content": f"re: {first[1]}"},
            {"role": "user", "content": first[2]},
        ],
    ]
    counts = counts_of(child)
    assert counts["begun"] == sessions_in(spec) == counts["whole"] + counts["over"]
    assert counts["offered"] == len(heard.said) == child.outcomes()["ok"]
    assert counts["waiting"] == 0


def test_the_next_turn_waits_for_the_answer_and_the_pause(chat, engine, talk):
    heard = chat(hold_s=0.05)
    child = engine(talk(heard.url, ROWS, rate=15.0, duration_s=2.0, think_s=0.2))
    run(child)
    later = [name for name in heard.came if int(name.split("/")[1]) % 3]
    assert later
    for name in later:
        index = int(name.split("/")[1])
        assert heard.came[name] - heard.answered[f"surge/{index - 1}/1"] >= 0.19


def test_latency_of_a_later_turn_does_not_hold_the_pause(chat, engine, talk):
    heard = chat()
    child = engine(talk(heard.url, ROWS, rate=10.0, duration_s=3.0, turns=2, think_s=1.0))
    run(child)
    cells = [cell for snapshot in child.snapshots for cell in snapshot.cells if cell.group == "turn=2"]
    latency = merge_all(from_wire(cell.sketches["latency"]) for cell in cells)
    assert latency.count > 5
    assert latency.quantile(0.5) < 0.5


def test_turns_are_groups_and_no_turn_begins_after_the_schedule(chat, engine, talk):
    heard = chat()
    spec = talk(heard.url, ROWS, rate=20.0, duration_s=1.0, turns=4, think_s=0.4)
    child = engine(spec)
    run(child)
    turns = Counter(int(name.split("/")[1]) % 4 for name in heard.said)
    for turn in range(4):
        assert child.outcomes(f"turn={turn + 1}")["ok"] == turns[turn]
    assert turns[3] == 0
    assert counts_of(child)["over"] > 0


def test_a_failed_turn_ends_its_session_and_is_said(chat, engine, talk):
    heard = chat(refuse=("two",))
    rows = [{"turns": ["one", "two", "three"]}]
    spec = talk(heard.url, rows, rate=20.0, duration_s=1.5, think_s=0.01)
    child = engine(spec)
    run(child)
    counts = counts_of(child)
    assert counts["broken"] == {2: child.outcomes()["http_503"]}
    assert counts["whole"] == 0
    assert not [said for said in heard.said.values() if said[-1]["content"] == "three"]


def test_a_row_may_hold_a_whole_conversation(chat, engine, talk):
    heard = chat()
    system = {"from": "system", "value": "be kind"}
    shared = [
        system,
        {"from": "human", "value": "a"},
        {"from": "gpt", "value": "x"},
        {"from": "human", "value": "b"},
    ]
    rows = [{"conversations": shared}, {"turns": ["c", {"role": "user", "content": "d"}, "e", "f"]}]
    spec = talk(heard.url, rows, rate=10.0, duration_s=2.0, think_s=0.01)
    child = engine(spec)
    run(child)
    assert [said[-1]["content"] for said in heard.of_session(0, 3)] == ["a", "b"]
    assert heard.of_session(0, 3)[1][0] == {"role": "system", "content": "be kind"}
    assert heard.of_session(0, 3)[1][2] == {"role": "assistant", "content": "re: a"}
    assert [said[-1]["content"] for said in heard.of_session(1, 3)] == ["c", "d", "e"]


def test_system_messages_stand_only_at_the_beginning(chat, engine, talk):
    heard = chat()
    rows = [{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]}]
    child = engine(talk(heard.url, rows, rate=10.0, duration_s=1.0, turns=2, think_s=0.01))
    run(child)
    assert [one["role"] for one in heard.of_session(0, 2)[1]] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([{"turns": ["a"]}, {"prompt": "b"}], "talk.jsonl:2: where one row holds a whole conversation"),
        ([{"turns": [7]}], "a turn is text"),
        ([{"conversations": [{"from": "gpt", "value": "x"}]}], "no turn"),
        ([{"conversations": ["x"]}], '"from": "human"'),
        ([{"text": "x"}], '"messages" or "prompt"'),
    ],
)
def test_a_row_without_a_turn_ends_the_attempt_by_its_number(chat, engine, talk, rows, named):
    child = engine(talk(chat().url, rows, rate=20.0, duration_s=1.0, turns=2))
    end = run(child)
    assert end.outcome == "error"
    assert named in end.why


def test_data_that_stops_ends_the_sessions(chat, engine, talk):
    heard = chat()
    spec = talk(heard.url, ROWS, rate=20.0, duration_s=2.0, think_s=0.01, reading={"at_end": "stop"})
    child = engine(spec)
    end = run(child)
    assert end.outcome == "done"
    assert sorted(int(name.split("/")[1]) for name in heard.said) == list(range(7))
    assert counts_of(child)["begun"] == 3


def test_shards_begin_the_union_of_all_sessions(chat, engine, talk):
    heard = chat()
    spec = talk(heard.url, ROWS, rate=30.0, duration_s=1.0, turns=2, think_s=0.01)
    children = [engine(spec, shard=shard, of=2) for shard in (0, 1)]
    for child in children:
        child.listen(wire.Prepared)
        child.authorise(30)
    start_ns = time.monotonic_ns() + 300_000_000
    for child in children:
        child.say(wire.Begin(start_ns, 0.0, 0.0))
    for child in children:
        child.finished()
    firsts = sorted(int(name.split("/")[1]) // 2 for name in heard.said if not int(name.split("/")[1]) % 2)
    assert firsts == list(range(sessions_in(spec)))


def test_users_of_a_closed_loop_hold_one_conversation_after_the_other(chat, engine, talk):
    heard = chat()
    users = ClosedArrivals(users=2, think_s=0.05, duration_s=1.5)
    child = engine(talk(heard.url, ROWS, arrivals=users, think_s=0.02))
    run(child)
    counts = counts_of(child)
    assert counts["begun"] == counts["whole"] + counts["over"] > 4
    assert child.outcomes()["ok"] == len(heard.said) == counts["offered"]
    assert len(heard.of_session(0, 3)[2]) == 5


def test_thinking_takes_no_slot(chat, engine, talk):
    heard = chat()
    spec = talk(heard.url, ROWS, rate=40.0, duration_s=2.0, turns=2, think_s=1.0, max_in_flight=4)
    child = engine(spec)
    run(child)
    assert child.outcomes()["unsent_target"] == 0
    assert max(max(snapshot.running.values(), default=0) for snapshot in child.snapshots) <= 4
    assert max(snapshot.sessions.waiting for snapshot in child.snapshots) > 4


def test_a_halted_engine_accounts_for_every_turn_it_offered(chat, engine, talk):
    heard = chat(hold_s=0.3)
    spec = talk(heard.url, ROWS, rate=40.0, duration_s=20.0, think_s=0.2)
    assert isinstance(spec.arrivals, OpenArrivals)
    child = engine(spec)
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin()
    for _ in range(2):
        child.listen(wire.Taken)
    child.say(wire.Halt("enough"))
    end = child.finished()
    assert end.outcome == "stopped"
    assert counts_of(child)["offered"] == child.outcomes().total()
    assert child.outcomes()["abandoned"] > 0
    assert counts_of(child)["waiting"] > 0


def test_a_turn_in_line_is_a_conversation_that_waits(chat, engine, talk):
    spec = talk(chat(hold_s=0.4).url, ROWS, rate=20.0, duration_s=30.0, think_s=0.05, max_in_flight=2)
    child = engine(spec)
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin()
    for _ in range(3):
        child.listen(wire.Taken)
    child.say(wire.Halt("enough"))
    child.finished()
    counts = counts_of(child)
    over = counts["whole"] + counts["over"] + sum(counts["broken"].values())
    under_way = child.outcomes()["abandoned"] + child.outcomes()["unsent_generator"]
    assert under_way <= 2
    assert counts["begun"] == over + under_way + counts["waiting"]


def test_a_killed_engine_leaves_every_turn_accounted_for(chat, engine, talk):
    heard = chat(hold_s=0.1)
    spec = talk(heard.url, ROWS, rate=30.0, duration_s=30.0, think_s=0.1)
    child = engine(spec)
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin()
    while len(heard.said) < 120:
        child.listen(wire.Taken)
    child.process.kill()
    child.process.wait()
    child.listen(wire.Finished)
    tally = Tally(longest_s(spec))
    for snapshot in child.snapshots:
        tally.add(snapshot)
    left = read(child.mark)
    child.snapshots.append(
        closing_snapshot(left, tally, activity="surge", shard=0, attempt="surge:0:1", at_s=0.0, seq=99)
    )
    sent, unknown = child.outcomes()["ok"] + child.outcomes()["abandoned"], 1 if left.writing else 0
    until_s = time.monotonic() + 10.0
    while len(heard.said) < sent and time.monotonic() < until_s:  # what the dead engine wrote is still read
        time.sleep(0.01)
    assert child.outcomes()["abandoned"] > 0
    assert sent <= len(heard.said) <= sent + unknown
    begun = {int(name.split("/")[1]) // 3 for name in heard.said}
    assert left.dispatched % 3 == 0
    assert len(begun) <= left.dispatched // 3 <= len(begun) + child.outcomes()["unsent_generator"] + unknown
