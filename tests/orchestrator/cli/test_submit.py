"""`submit` where nothing can run: refused by the promised exit code, with what to do; and what it sends."""

import json
import secrets
import time
from pathlib import Path

import msgspec
import pytest

from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.signed.halts import Press, encode_press, sign_press
from workers.contract.signed.signing import read_keys

ROOT = Path(__file__).parents[3]
REPORTS = ROOT / "tests" / "orchestrator" / "report" / "golden"
NOBODY = "redis://127.0.0.1:1/0"
LOAD = """
campaign: small
seed: 1
targets:
  chat: {protocol: openai-chat, model: demo, url: "http://127.0.0.1:9"}
phases:
  - name: peak
    activities:
      - {name: load, kind: load, target: chat, shards: 1, duration: 2s, slos: [success_rate >= 90%],
         arrivals: {process: constant, rate: 20/s}, data: {synthetic: {input_tokens: 8, output_tokens: 4}}}
"""


@pytest.fixture
def file(tmp_path):
    """A campaign that may be submitted."""
    path = tmp_path / "small.yaml"
    path.write_text(LOAD)
    return path


@pytest.mark.parametrize("command", [("submit", "small.yaml"), ("watch",), ("report", "c-1")])
def test_without_a_broker_it_says_how_to_name_one(at_fleet, file, command):
    done = at_fleet(*command, broker="")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "say --broker redis://HOST:PORT or set SHAKEOUT_BROKER" in done.stderr


@pytest.mark.parametrize("command", [("submit", "small.yaml"), ("watch",), ("report", "c-1")])
def test_a_broker_that_is_not_there_is_lost_contact(at_fleet, file, command):
    done = at_fleet(*command, broker=NOBODY)
    assert (done.exit_code, done.stdout) == (6, "")
    assert "nothing listens there" in done.stderr


@pytest.mark.parametrize("broker", ["http://127.0.0.1:1", "sentinel://127.0.0.1"])
def test_an_address_that_cannot_be_read_is_a_usage_error(at_fleet, file, broker):
    done = at_fleet("submit", file, broker=broker)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "broker address" in done.stderr


def test_a_wrong_password_is_told_without_showing_it(at_fleet, file, shared_valkey):
    done = at_fleet("submit", file, broker=shared_valkey.url.replace("@", "wrong@"))
    assert (done.exit_code, done.stdout) == (6, "")
    assert "password" in done.stderr
    assert "wrong@" not in done.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--out", "x"), "--out needs --wait"),
        (("--inconclusive", "pass"), "--inconclusive needs --wait"),
        (("--inconclusive", "maybe", "--wait"), "'pass', 'fail'"),
        (("--max-time", "10"), "say 10s"),
        (("--label", "x"), "say KEY=VALUE"),
        (("--set", "sed=1"), "did you mean seed?"),
    ],
)
def test_flags_that_cannot_work_are_refused_before_anything_is_sent(
    at_fleet, file, redis_client, flags, words
):
    done = at_fleet("submit", file, *flags)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr
    assert redis_client.dbsize() == 0


def test_a_demo_target_and_what_does_not_run_yet_are_refused_by_name(at_fleet, redis_client):
    done = at_fleet("submit", ROOT / "examples" / "quickstart.yaml")
    assert done.exit_code == 2
    assert "only `run` starts a demo target" in done.stderr
    done = at_fleet("submit", ROOT / "examples" / "prelaunch.yaml")
    assert done.exit_code == 2
    assert "do not run in this version" in done.stderr
    assert redis_client.dbsize() == 0


def test_the_id_is_the_first_line_alone_and_all_else_goes_to_stderr(at_fleet, file, redis_client):
    done = at_fleet("submit", file, "--label", "team=search", "--max-time", "10m", "--set", "seed=9")
    assert done.exit_code == 0
    (id_,) = done.stdout.splitlines()
    assert redis_client.zrange(names.CAMPAIGNS, 0, -1) == [id_.encode()]
    ((_, fields),) = redis_client.xrange(names.journal(id_))
    said = f.decode_fact(fields[b"f"])
    assert (said.campaign, said.labels, said.max_time_s, said.seed) == (id_, {"team": "search"}, 600.0, 9)
    for words in (
        "no coordinator leads",
        "no worker is alive",
        f"shakeout watch {id_}",
        f"shakeout abort {id_}",
    ):
        assert words in done.stderr


def test_with_json_the_first_line_is_an_object(at_fleet, file):
    done = at_fleet("submit", file, "--json")
    assert list(json.loads(done.stdout)) == ["campaign"]


def test_with_a_key_the_submission_is_signed_and_without_one_a_foreign_broker_is_refused(
    at_fleet, file, redis_client
):
    secret = secrets.token_hex(32)
    done = at_fleet("submit", file, key=f"ada={secret}")
    ((_, fields),) = redis_client.xrange(names.journal(done.stdout.strip()))
    assert f.decode_fact(fields[b"f"]).signature
    assert "is not set" not in done.stderr
    done = at_fleet("submit", file, broker="redis://203.0.113.1:6379/0")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "SHAKEOUT_SIGNING_KEY is not set" in done.stderr


def test_a_halted_fleet_takes_nothing_and_says_who_halted_it(at_fleet, file, redis_client):
    press = Press(by="ada", why="the pager rings", at_s=time.time())
    redis_client.hset(names.HALT, "halt", encode_press(press))
    done = at_fleet("submit", file)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "halted by ada: the pager rings; `shakeout resume` ends that" in done.stderr
    assert not redis_client.exists(names.CAMPAIGNS)


def test_a_halt_that_nobody_signed_stops_no_one_with_a_key_but_is_told(at_fleet, file, redis_client):
    press = Press(by="eve", at_s=time.time())
    redis_client.hset(names.HALT, "halt", encode_press(press))
    secret = secrets.token_hex(32)
    done = at_fleet("submit", file, key=secret)
    assert done.exit_code == 0
    assert "a halt in Redis does not count" in done.stderr
    signed = sign_press(press, purpose="halt", keys=read_keys(secret))
    redis_client.hset(names.HALT, "halt", encode_press(signed))
    assert at_fleet("submit", file, key=secret).exit_code == 2


def test_a_halt_under_a_key_that_only_workers_know_holds_if_they_say_so(at_fleet, file, redis_client):
    press = Press(by="ada", at_s=time.time())
    signed = sign_press(press, purpose="halt", keys=read_keys(secrets.token_hex(32)))
    redis_client.hset(names.HALT, "halt", encode_press(signed))
    own = secrets.token_hex(32)
    assert at_fleet("submit", file, key=own).exit_code == 0
    card = f.WorkerCard("w", "one", "h", "", 1, halted=True, seen_s=time.time())
    redis_client.hset(names.WORKERS, "w", msgspec.json.encode(card))
    done = at_fleet("submit", file, key=own)
    assert done.exit_code == 2
    assert "halted by ada" in done.stderr


def test_a_folder_that_holds_a_report_is_not_written_over(at_fleet, file, tmp_path, redis_client):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.json").write_text("{}")
    done = at_fleet("submit", file, "--wait", "--out", "out")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "already holds a report" in done.stderr
    assert not redis_client.exists(names.CAMPAIGNS)
