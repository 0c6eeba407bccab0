"""Flags and environment of a worker."""

import pytest

from workers.guard import SecretUnsetError, fill
from workers.settings import lone, parse

LOCAL = {"SHAKEOUT_BROKER": "redis://127.0.0.1"}


def test_flags_and_environment_add_up():
    environment = {
        "SHAKEOUT_BROKER": "redis://:secret@host/0",
        "SHAKEOUT_SIGNING_KEY": "ops=of-the-coordinators",
        "SHAKEOUT_SUBMITTER_KEYS": "ada=of-ada, bo=of-bo",
        "CHAT_TOKEN": "t",
        "SHAKEOUT_ALLOW_TARGETS": "10.0.0.0/8, chat:8000,",
        "SHAKEOUT_DEMO_PID": "42",
        "SHAKEOUT_HOME": "/srv/shakeout",
    }
    flags = ["--name", "w1", "--slots", "3", "--label", "a", "--label", "b", "--allow-target", "chat:8000"]
    told = parse(flags, environment)
    assert (told.name, told.slots, told.labels, told.demo_pid) == ("w1", 3, ("a", "b"), 42)
    assert told.allow_targets == ("10.0.0.0/8", "chat:8000")
    assert str(told.home) == "/srv/shakeout"
    assert [key.name for key in told.keys.keys] == ["ops"]
    assert [key.name for key in told.people.keys] == ["ops", "ada", "bo"]
    assert told.warning == ""


def test_a_broker_on_the_command_line_goes_before_the_environments():
    assert parse(["--name", "w1", "--broker", "redis://127.0.0.1:1"], {}).broker == "redis://127.0.0.1:1"
    assert parse(["--name", "w1", "--broker", "redis://127.0.0.1:1"], LOCAL).broker == "redis://127.0.0.1:1"


def test_a_campaign_can_ask_for_what_the_operator_set_but_not_for_the_workers_own_secrets():
    environment = {
        "SHAKEOUT_BROKER": "redis://:hush@127.0.0.1/0",
        "SHAKEOUT_SIGNING_KEY": "ops=hush-hush",
        "SHAKEOUT_SUBMITTER_KEYS": "ada=hush-hush-hush",
        "CHAT_TOKEN": "t",
    }
    told = parse(["--name", "w1"], environment)
    assert told.environment == {"CHAT_TOKEN": "t"}
    with pytest.raises(SecretUnsetError):
        fill("${env:SHAKEOUT_SIGNING_KEY}", told)
    assert fill("${env:CHAT_TOKEN}", told) == "t"
    assert "hush-hush" not in repr(told)


def test_a_request_that_is_replayed_cannot_ask_for_the_secrets_of_who_replays_it():
    told = lone(("10.0.0.0/8",), {"SHAKEOUT_SIGNING_KEY": "ops=hush-hush", "CHAT_TOKEN": "t"})
    assert told.environment == {"CHAT_TOKEN": "t"}
    assert told.allow_targets == ("10.0.0.0/8",)
    with pytest.raises(SecretUnsetError):
        fill("${env:SHAKEOUT_SIGNING_KEY}", told)


def test_without_a_key_a_worker_beside_its_broker_warns():
    told = parse(["--name", "w1"], {"SHAKEOUT_BROKER": "redis://127.0.0.1/0"})
    assert "nothing is signed" in told.warning
    assert told.people.own is None


@pytest.mark.parametrize(
    ("flags", "environment", "words"),
    [
        (["--name", "w1"], {}, "no broker: say --broker redis://HOST:PORT or set SHAKEOUT_BROKER"),
        (["--name", "w 1"], {"SHAKEOUT_BROKER": "redis://x"}, "no worker name"),
        (["--name", "w1", "--slots", "0"], {"SHAKEOUT_BROKER": "redis://x"}, "from 1 to"),
        (["--name", "w1"], {"SHAKEOUT_BROKER": "redis://x", "SHAKEOUT_DEMO_PID": "x"}, "SHAKEOUT_DEMO_PID"),
        (["--name", "w1"], {"SHAKEOUT_BROKER": "redis://x"}, "SHAKEOUT_SIGNING_KEY is not set"),
        (["--name", "w1"], LOCAL | {"SHAKEOUT_SIGNING_KEY": "a\nb"}, "SHAKEOUT_SIGNING_KEY: signing key 1"),
        (["--name", "w1"], LOCAL | {"SHAKEOUT_SUBMITTER_KEYS": "\t\x00"}, "SUBMITTER_KEYS: signing key 1"),
    ],
)
def test_what_cannot_work_is_said_and_ends_with_exit_code_2(flags, environment, words, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(flags, environment)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_limits_of_targets_add_up_and_the_lower_one_counts():
    environment = {**LOCAL, "SHAKEOUT_TARGET_LIMITS": "chat:8000=50/s, 10.0.0.5:80=120/min"}
    told = parse(["--name", "w1", "--target-limit", "chat:8000=20/s"], environment)
    assert told.target_limits == {"chat:8000": 20.0, "10.0.0.5:80": 2.0}


def test_a_limit_that_cannot_be_read_ends_the_worker(capsys):
    with pytest.raises(SystemExit) as ended:
        parse(["--name", "w1", "--target-limit", "chat=20"], LOCAL)
    assert ended.value.code == 2
    assert "'chat=20'; write HOST:PORT=RATE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "place"),
    [("9095", ("127.0.0.1", 9095)), ("0.0.0.0:9095", ("0.0.0.0", 9095)), ("[::1]:9095", ("::1", 9095))],
)
def test_webhooks_are_taken_on_loopback_unless_a_host_is_named_and_a_label_tells_of_it(typed, place):
    told = parse(["--name", "w1", "--label", "a", "--webhook", typed], LOCAL)
    assert (told.webhook, told.labels) == (place, ("a", "webhook"))
    assert parse(["--name", "w1"], LOCAL).webhook is None


@pytest.mark.parametrize("typed", ["", "here", "1.2.3.4:", "70000", "a:b"])
def test_a_place_for_webhooks_that_is_none_ends_with_what_to_say(typed, capsys):
    with pytest.raises(SystemExit):
        parse(["--name", "w1", "--webhook", typed], LOCAL)
    assert "say PORT or HOST:PORT" in capsys.readouterr().err
