"""deploy/redis: a fleet whose parts each log in as their own user, and what these users may not do."""

import base64
import json
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from workers.contract.broker import names
from workers.contract.broker.permits import ROLES, denied

CAMPAIGN = """\
campaign: {name}
seed: 3
samples: all
validity: {{lag_p99: 10s, start_skew: 10s}}
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: 5s}}
phases:
  - name: only
    activities:
      - name: steady
        kind: load
        target: chat
        shards: 2
        arrivals: {{process: poisson, rate: 20/s}}
        duration: {duration}
        data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}
      - name: recorded
        kind: load
        target: chat
        shards: 1
        arrivals: {{process: trace, trace: recorded.csv}}
        data: recorded.csv
      - name: answers
        kind: regression
        target: chat
        golden: golden.jsonl
        slos: ["pass_rate >= 100%"]
"""
GOLDEN = {
    "id": "one",
    "request": {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 1},
    "expected": {"finish_reason": "length"},
}
RECORDED = "timestamp,input_length,output_length\n" + "".join(f"{at / 10},4,2\n" for at in range(20))
CLAIMS = names.claims("c")
WRITES_LEADER = "return redis.call('HSET', 'shakeout:leader', 'epoch', 9)"
ANYBODY = [
    ("FLUSHALL",),
    ("KEYS", "*"),
    ("CONFIG", "SET", "maxmemory", "1"),
    ("ACL", "SETUSER", "me", "on"),
    ("SHUTDOWN", "NOSAVE"),
    ("CLIENT", "KILL", "ID", "0"),
    ("MONITOR",),
    ("SET", "another", "1"),
]
"""What no user may do."""
FORBIDDEN = {
    "coordinator": [
        ("PUBLISH", "/0.shakeout.events/x", "x"),
        ("BRPOP", "w.dq2", "1"),
        ("CONFIG", "GET", "save"),
    ],
    "worker": [
        ("HSET", names.LEADER, "epoch", "9"),
        ("DEL", names.LEADER),
        ("EVAL", WRITES_LEADER, "0"),
        ("EVAL", WRITES_LEADER, "1", names.LEADER),
        ("SET", names.EPOCH, "9"),
        ("HSET", names.specs("c"), "sha", "spec"),
        ("HSET", names.HALT, "resume", "{}"),
        ("DEL", names.HALT),
        ("ZADD", names.CAMPAIGNS, "1", "c"),
        ("HSET", names.results("c"), "report.json", "{}"),
        ("HSET", names.checkpoint("c"), "totals", ""),
        ("DEL", names.file_chunks("sha")),
        ("CONFIG", "GET", "save"),
    ],
    "submitter": [
        ("HSET", CLAIMS, "a", "me"),
        ("HGET", CLAIMS, "a"),
        ("HSET", names.leases("c"), "a", "1"),
        ("HSET", names.LEADER, "epoch", "9"),
        ("HSET", names.WORKERS, "w", "{}"),
        ("HSET", names.HALT, "resume", "{}"),
        ("SET", names.live("c"), "{}"),
        ("HSET", names.results("c"), "report.json", "{}"),
        ("XADD", names.control("w"), "*", "o", "{}"),
        ("RPUSH", names.queue("w"), "{}"),
        ("PUBLISH", "/0.shakeout.events/x", "x"),
        ("CONFIG", "GET", "save"),
    ],
    "operator": [
        ("HSET", CLAIMS, "a", "me"),
        ("HSET", names.LEADER, "epoch", "9"),
        ("HSET", names.WORKERS, "w", "{}"),
        ("XADD", names.control("w"), "*", "o", "{}"),
        ("RPUSH", names.queue("w"), "{}"),
        ("CONFIG", "REWRITE"),
    ],
    "flower": [
        *(("SET", key, "1") for key in (names.EPOCH, names.RUNS, names.live("c"))),
        *(("HSET", key, "a", "1") for key in (names.LEADER, names.WORKERS, names.HALT, CLAIMS)),
        *(("GET", key) for key in (names.RUNS, names.live("c"))),
        ("ZADD", names.CAMPAIGNS, "1", "c"),
        ("LPUSH", names.queue("w"), "{}"),
        ("XADD", names.journal("c"), "*", "f", "{}"),
        ("CONFIG", "GET", "save"),
    ],
}


@pytest.fixture(scope="module", params=["redis", "valkey"])
def fleet(request, new_server: Callable[[str], Any]) -> Any:
    """Coordinator, worker and Flower, each as its own user; a target, and a submitter's files."""
    server = new_server(request.param)
    (server.folder / "golden.jsonl").write_text(json.dumps(GOLDEN) + "\n")
    (server.folder / "recorded.csv").write_text(RECORDED)
    runs = f"file://{server.folder}/runs"
    server.start("coordinator", "orchestrator", "coordinator", "--runs", runs)
    worker = server.start(
        "worker", "workers", "--name", "w1", "--slots", "4", SHAKEOUT_HOME=str(server.folder / "home")
    )
    flower = server.start("flower", "orchestrator", "flower", "--port", "0")
    target = server.start("worker", "workers.demo_target", "--ttft", "5ms", "--gap", "1ms")
    target.says("listening on ")
    server.target = target.said().split()[-1]
    worker.says("ready")
    flower.says("/tasks")
    server.flower = re.search(r"http://[^/]+", flower.said()).group()
    return server


def campaign(fleet: Any, name: str, duration: str) -> Path:
    path: Path = fleet.folder / f"{name}.yaml"
    path.write_text(CAMPAIGN.format(name=name, url=fleet.target, duration=duration))
    return path


def tasks_in_flower(fleet: Any) -> dict[str, Any]:
    password = fleet.environment("flower")["SHAKEOUT_FLOWER_PASSWORD"]
    login = base64.b64encode(f"shakeout:{password}".encode()).decode()
    asked = urllib.request.Request(f"{fleet.flower}/api/tasks", headers={"Authorization": f"Basic {login}"})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return dict(json.load(answer))


def test_a_whole_campaign_passes_with_every_part_as_its_own_user_and_nothing_is_denied(fleet, until) -> None:
    done = fleet.shakeout(
        "submitter", "submit", str(campaign(fleet, "first", "3s")), "--wait", "--out", "got"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    id_ = done.stdout.split()[0]
    report = json.loads((fleet.folder / "got" / "report.json").read_text())
    assert report["verdict"] == "pass"
    kept = {name: one["samples"] for name, one in report["activities"].items() if "samples" in one}
    assert {name: one["missing"] for name, one in kept.items()} == {"steady": 0, "recorded": 0}
    assert kept["recorded"]["rows"] == 20
    until(lambda: len(tasks_in_flower(fleet)) == 4)
    for role, *words in (
        ("submitter", "report", id_),
        ("submitter", "watch", id_),
        ("submitter", "list"),
        ("submitter", "workers"),
        ("operator", "status"),
    ):
        told = fleet.shakeout(role, *words)
        assert told.returncode == 0, (role, words, told.stdout + told.stderr)
    told = fleet.shakeout("operator", "doctor", "--json")
    broker = [one for one in json.loads(told.stdout)["findings"] if one["area"] == "broker"]
    assert len(broker) > 5
    assert [one for one in broker if one["level"] != "ok"] == []
    assert fleet.denied() == []


@pytest.mark.parametrize("fleet", ["valkey"], indirect=True)
def test_persons_remark_abort_and_halt_by_their_users_alone(fleet, until) -> None:
    given = fleet.shakeout("submitter", "submit", str(campaign(fleet, "second", "50s")))
    assert given.returncode == 0, given.stderr
    id_ = given.stdout.split()[0]
    until(lambda: "running" in fleet.shakeout("submitter", "status", id_).stdout)
    for words in (("note", id_, "looking"), ("abort", id_)):
        done = fleet.shakeout("submitter", *words)
        assert done.returncode == 0, (words, done.stdout + done.stderr)
    assert fleet.shakeout("submitter", "watch", id_).returncode == 5
    for word in ("halt", "resume"):
        done = fleet.shakeout("operator", word)
        assert done.returncode == 0, (word, done.stdout + done.stderr)
    assert fleet.denied() == []
    refused = fleet.shakeout("submitter", "halt")
    assert refused.returncode not in (0, 70)
    assert "Traceback" not in refused.stderr
    assert {entry["username"] for entry in fleet.denied()} == {"submitter"}


@pytest.fixture(scope="module", params=["valkey", "redis"])
def server(request, new_server: Callable[[str], Any]) -> Any:
    """A server alone."""
    return new_server(request.param)


@pytest.mark.parametrize("role", FORBIDDEN)
def test_a_user_can_not_do_what_is_not_its_work(server, role) -> None:
    with server.client(role) as client:
        for command in (*ANYBODY, *FORBIDDEN[role]):
            with pytest.raises(
                redis.exceptions.ResponseError, match=r"(?i)no permission|NOPERM|can't access|ACL failure"
            ):
                client.execute_command(*command)


@pytest.mark.parametrize("role", ROLES)
def test_a_user_may_do_all_that_its_role_says_it_needs(server, role) -> None:
    with server.client(role) as client:
        assert denied(client, role, worker="w1") == ()


def test_nobody_is_let_in_without_a_name_and_a_password(server) -> None:
    for login in ("", "worker:guess@", "default:guess@", "nobody:guess@"):
        stranger = redis.Redis.from_url(f"redis://{login}{server.address}")
        with stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()


def test_health_checks_need_no_secret_and_see_nothing(server) -> None:
    with redis.Redis.from_url(f"redis://health:any@{server.address}") as client:
        assert client.ping()
        for command in (("GET", names.RUNS), ("INFO",), ("TIME",)):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)


def test_every_key_of_the_fleet_is_somebodys_and_the_lists_name_no_other(server) -> None:
    text = (Path(__file__).parent.parent.parent / "deploy" / "redis" / "users.acl").read_text()
    known = {value for value in vars(names).values() if isinstance(value, str)}
    known |= {
        maker("*") for maker in (names.journal, names.fact_ids, names.claims, names.leases, names.durable)
    }
    known |= {
        maker("*")
        for maker in (
            names.checkpoint,
            names.specs,
            names.live,
            names.results,
            names.control,
            names.looked,
        )
    }
    known |= {
        names.file_chunks("*"),
        names.snapshots("*", "*", 0).removesuffix(":0").removesuffix(":*") + ":*",
    }
    known |= {"shakeout:*", "shakeout:doctor:*"}
    said = {word.lstrip("%R~") for word in text.split() if "~shakeout:" in word and not word.startswith("#")}
    assert said <= known, said - known
