"""`shakeout doctor` where the broker is ill: each finding names what is wrong and what to do; exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis

from orchestrator.checkup.finding import Finding
from orchestrator.checkup.whole import check_up
from workers.contract.signed.signing import NO_KEYS, read_keys

WITHIN_S = 60
CAMPAIGN = """\
campaign: brief
targets:
  chat: {protocol: openai-chat, model: m, url: "http://127.0.0.1:9"}
phases:
  - name: only
    activities:
      - name: steady
        kind: load
        target: chat
        arrivals: {process: constant, rate: 1/s}
        duration: 1s
        data: {synthetic: {input_tokens: 4, output_tokens: 2}}
"""


def problems(url: str, *, level: str = "problem", **given: Any) -> dict[str, Finding]:
    """Check -> finding, of the broker's problems."""
    told = {"role": None, "runs": "runs", "keys": NO_KEYS} | given
    found = check_up(broker=url, **told)
    assert "sesame" not in repr(found)
    return {one.check: one for one in found if one.level == level and one.area == "broker"}


def shakeout(*argv: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *argv],
        env={**os.environ, "SHAKEOUT_BROKER": "", **environment},
        capture_output=True, text=True, timeout=WITHIN_S, check=False,
    )  # fmt: skip


def test_without_a_broker_this_host_is_looked_at_and_that_is_said():
    done = shakeout("doctor")
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("No broker is named")
    for check in ("system", "python", "open files", "packages", "disk", "calibration", "signing key"):
        assert f"  {check} " in done.stdout
    told = json.loads(shakeout("doctor", "--json").stdout)
    assert {one["area"] for one in told["findings"]} == {"host"}


def test_a_quick_look_is_one_at_what_can_be_generated():
    done = shakeout("doctor", "--quick")
    assert done.returncode == 2
    assert "--quick goes with --calibrate" in done.stderr


def test_a_role_that_is_none_is_a_usage_error():
    done = shakeout("doctor", "--role", "king")
    assert done.returncode == 2
    assert "--role king: say one of coordinator, worker, submitter" in done.stderr


@pytest.mark.parametrize(
    ("url", "check", "words"),
    [
        ("redis://:sesame@127.0.0.1:1/0", "reachable", "nothing listens there"),
        ("redis://:sesame@no-such-host.invalid/0", "reachable", "does not resolve"),
        ("http://:sesame@h", "address", "begins with none of"),
        ("rediss://:sesame@h?ssl_ca_certs=/no/such/file", "address", "there is no file /no/such/file"),
    ],
)
def test_a_broker_that_is_not_there_or_cannot_be_read_is_the_only_problem(url, check, words):
    (found,) = problems(url).values()
    assert found.check == check
    assert words in found.what
    assert found.do


def test_a_wrong_password_is_told_from_a_server_that_is_not_there(redis_server, kind_of_server):
    server = redis_server("requirepass sesame", kind=kind_of_server)
    found = problems(server.url("ada:wrong"))
    assert set(found) == {"login"}
    assert "password of user ada is wrong" in found["login"].what
    assert "it wants a password" in problems(server.url())["login"].what
    done = shakeout("doctor", "--broker", server.url(":wrong"))
    assert done.returncode == 1
    assert "password of the default user is wrong" in done.stdout


def test_an_acl_that_is_too_narrow_names_the_missing_commands(redis_server, kind_of_server):
    acl = "user worker on >sesame ~* &* +@all -brpop -hmget"
    server = redis_server("requirepass sesame", acl, "user ada on >sesame ~* &* +@all -zadd -eval",
                          kind=kind_of_server)  # fmt: skip
    found = problems(server.url("worker:sesame"))["permissions"]
    assert found.what == "user worker may not run hmget, brpop, as a worker must"
    assert found.do.startswith("ACL SETUSER worker +hmget +brpop")
    found = problems(server.url("worker:sesame"), role="submitter")
    assert found == {}
    found = problems(server.url("ada:sesame"), role="submitter")
    assert found["permissions"].what == "user ada may not run zadd, as a submitter must"
    assert "user ada may not run eval" in found["scripts"].what
    with redis.Redis.from_url(server.url(":sesame")) as client:
        assert client.dbsize() == 0, "nothing is left behind"


def test_a_server_that_is_too_old_a_replica_or_a_cluster_is_found(redis_server, rewriting):
    server = redis_server()
    port = rewriting(server.port, b"redis_version:7.2.4", b"redis_version:6.0.9")
    found = problems(f"redis://127.0.0.1:{port}/0")
    assert set(found) == {"server"}
    assert "version 6.0.9" in found["server"].what
    assert "upgrade" in found["server"].do
    replica = redis_server("replicaof 127.0.0.1 1")
    assert "sentinel://" in problems(replica.url())["primary"].do


def test_memory_and_disk_that_would_lose_facts_are_found(redis_server, kind_of_server):
    server = redis_server(
        "maxmemory 100mb", "maxmemory-policy allkeys-lru", "timeout 10", kind=kind_of_server
    )
    found = problems(server.url())
    assert set(found) == {"memory policy"}
    assert "allkeys-lru deletes keys" in found["memory policy"].what
    assert "CONFIG SET maxmemory-policy noeviction" in found["memory policy"].do
    warned = problems(server.url(), level="warning")
    assert set(warned) == {"persistence", "settings"}
    with redis.Redis.from_url(server.url()) as client:
        used = client.info("memory")["used_memory"]
        client.config_set("maxmemory", round(used * 1.01))
        client.config_set("maxmemory-policy", "noeviction")
    assert set(problems(server.url())) == {"memory"}


def test_a_user_that_may_not_ask_for_settings_is_told_that_they_are_not_needed(redis_server):
    server = redis_server("requirepass sesame", "user ada on >sesame ~* &* +@all -config")
    fine = problems(server.url("ada:sesame"), level="ok")
    assert "could not be asked" in fine["settings"].what


def test_keys_that_can_be_guessed_or_are_missing_are_said(redis_server):
    def signing(text: str, broker: str) -> Finding:
        found = check_up(broker=broker, role=None, runs="runs", keys=read_keys(text))
        return next(one for one in found if one.check == "signing key")

    assert signing("ada=short", "").level == "warning"
    assert "short" not in signing("ada=short", "").what.replace("too short", "")
    assert signing("ada=" + "x" * 32, "").level == "ok"
    assert signing("", "redis://127.0.0.1:1/0").level == "ok"
    assert signing("", "redis://no-such-host.invalid/0").level == "problem"


def test_submit_worker_and_coordinator_say_the_same_about_a_wrong_password(redis_server, tmp_path: Path):
    server = redis_server("requirepass sesame")
    url = server.url(":wrong")
    campaign = tmp_path / "campaign.yaml"
    campaign.write_text(CAMPAIGN)
    cases = {
        ("worker", "--name", "w1"): 2,
        ("coordinator", "--runs", str(tmp_path)): 2,
        ("submit", str(campaign)): 6,
    }
    for argv, code in cases.items():
        done = shakeout(*argv, SHAKEOUT_BROKER=url, SHAKEOUT_HOME=str(tmp_path / "home"))
        assert done.returncode == code, done.stderr
        assert "the password of the default user is wrong" in done.stderr
        assert "Traceback" not in done.stderr
