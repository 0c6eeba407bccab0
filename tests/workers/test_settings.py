"""Flags and environment of a worker."""

import pytest

from workers.settings import parse


def test_flags_and_environment_add_up():
    environment = {
        "SHAKEOUT_BROKER": "redis://:secret@host/0",
        "SHAKEOUT_ALLOW_TARGETS": "10.0.0.0/8, chat:8000,",
        "SHAKEOUT_DEMO_PID": "42",
        "SHAKEOUT_HOME": "/srv/shakeout",
    }
    flags = ["--name", "w1", "--slots", "3", "--label", "a", "--label", "b", "--allow-target", "chat:8000"]
    told = parse(flags, environment)
    assert (told.name, told.slots, told.labels, told.demo_pid) == ("w1", 3, ("a", "b"), 42)
    assert told.allow_targets == ("10.0.0.0/8", "chat:8000")
    assert str(told.home) == "/srv/shakeout"


@pytest.mark.parametrize(
    ("flags", "environment", "words"),
    [
        (["--name", "w1"], {}, "SHAKEOUT_BROKER is not set"),
        (["--name", "w 1"], {"SHAKEOUT_BROKER": "redis://x"}, "no worker name"),
        (["--name", "w1", "--slots", "0"], {"SHAKEOUT_BROKER": "redis://x"}, "from 1 to"),
        (["--name", "w1"], {"SHAKEOUT_BROKER": "redis://x", "SHAKEOUT_DEMO_PID": "x"}, "SHAKEOUT_DEMO_PID"),
    ],
)
def test_what_cannot_work_is_said_and_ends_with_exit_code_2(flags, environment, words, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(flags, environment)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
