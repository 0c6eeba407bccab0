"""Which faults a worker itself refuses, whatever the leader placed."""

import pytest

from workers.contract.fault_steps import FaultStep
from workers.contract.signed.trust import KEY_VARIABLE
from workers.faults.blast_radius import refusal
from workers.settings import parse

WIDE = FaultStep("cpu", {}, None, 0.0, 1.0)
NARROW = FaultStep("pause-process", {}, {"port": 1}, 0.0, 1.0)
FAR = "redis://192.0.2.7:6379"


@pytest.fixture
def asked(tmp_path):
    """What a worker on such a broker says to a step."""

    def ask(step, *, broker=FAR, labels=(), protect=(), on_generators=False, engines=0):
        flags = [word for label in labels for word in ("--label", label)]
        environment = {
            "SHAKEOUT_BROKER": broker,
            "SHAKEOUT_HOME": str(tmp_path),
            KEY_VARIABLE: "ops=" + "x" * 32,
        }
        settings = parse(["--name", "w", *flags], environment)
        return refusal(step, protect=protect, on_generators=on_generators, settings=settings, engines=engines)

    return ask


def test_a_protected_worker_does_no_fault_at_all(asked):
    assert "label db, which `protect` keeps" in asked(NARROW, labels=("db", "x"), protect=("db",))
    assert asked(NARROW, labels=("x",), protect=("db",)) == ""


def test_what_a_whole_host_feels_is_refused_beside_redis_and_beside_load(asked):
    for here in ("redis://127.0.0.1:6379", "redis://localhost:6379"):
        assert "is on this host" in asked(WIDE, broker=here)
        assert asked(WIDE, broker=here, on_generators=True) == ""
        assert asked(NARROW, broker=here) == ""
    assert asked(WIDE) == ""
    assert "1 of this worker's engines sends load" in asked(WIDE, engines=1)
    assert "say `on_generators: true` if that is meant" in asked(WIDE, engines=2)
