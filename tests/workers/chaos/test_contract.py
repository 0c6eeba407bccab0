"""What every line of the table of faults must hold."""

import subprocess
import sys

import msgspec
import pytest

from workers.chaos import TABLE
from workers.chaos.contract import Fault, build, kind_of
from workers.contract.errors import FaultError

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
    assert all(isinstance(getattr(kind, word), bool) for word in ("held", "client", "works", "needs_match"))
    assert issubclass(kind.Options, msgspec.Struct)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"no-such-option": 1}, kind.Options)


@pytest.mark.parametrize("name", [name for name in TABLE if kind_of(name).works])
def test_every_kind_that_works_can_do_all_five_things(name):
    fault = build(name, {})
    for verb in ("check", "inject", "verify", "revert", "residue"):
        assert callable(getattr(fault, verb))
        assert getattr(Fault, verb).__doc__


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tcp-proxy", {"listen": 9000, "upstream": "store:6379", "latency": "200ms", "jitter": "50ms"}),
        ("gpu-memory", {"share_of_free": "50%"}),
        ("disconnect-mid-stream", {"rate": "20/s", "after_tokens": 5}),
    ],
)
def test_reserved_kinds_read_their_options_and_refuse_to_run(name, options):
    assert msgspec.convert(options, kind_of(name).Options)
    with pytest.raises(FaultError, match=f"{name} is reserved"):
        build(name, options)


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
