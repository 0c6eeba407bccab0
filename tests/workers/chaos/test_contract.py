"""What every line of the table of faults must hold."""

import subprocess
import sys

import msgspec
import pytest

from workers.chaos import TABLE
from workers.chaos.contract import Fault, kind_of

HEAVY = (
    "psutil",
    "celery",
    "redis",
    "locust",
    "gevent",
    "pandas",
    "numpy",
    "pydantic",
    "asyncio",
    "subprocess",
)


@pytest.mark.parametrize("name", TABLE)
def test_every_kind_says_what_it_is_and_which_options_it_takes(name):
    kind = kind_of(name)
    assert all(
        isinstance(getattr(kind, word), bool) for word in ("held", "client", "needs_match", "wide", "ends")
    )
    assert issubclass(kind.Options, msgspec.Struct)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"no-such-option": 1}, kind.Options)


@pytest.mark.parametrize("name", TABLE)
def test_what_every_kind_makes_can_do_all_things(name):
    made = kind_of(name).made
    for verb in ("plan", "check", "inject", "verify", "revert", "residue"):
        assert callable(getattr(made, verb))
        assert getattr(Fault, verb).__doc__


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("tcp-proxy", {"listen": 9000}, "upstream"),
        ("tcp-proxy", {"listen": 90000, "upstream": "a:1"}, "65535"),
        ("tcp-proxy", {"listen": 9000, "upstream": "nowhere"}, "regex"),
        ("gpu-memory", {}, "exactly one of share_of_free, size"),
        ("gpu-memory", {"size": "1GiB", "share_of_free": "1%"}, "exactly one"),
        ("disconnect-mid-stream", {}, "rate"),
        ("kill-process", {"signal": "CONT"}, "say one of KILL"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_words(name, options, words):
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.convert(options, kind_of(name).Options)


def test_a_guardian_loads_nothing_heavy():
    code = (
        "import sys, workers.chaos.guardian\n"
        "from workers.chaos import TABLE; from workers.chaos.contract import kind_of\n"
        "[kind_of(name) for name in TABLE]\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == "[]\n"
