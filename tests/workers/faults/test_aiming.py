"""What clients of faults are aimed at: secrets of this worker, ceilings of this host."""

from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from workers.contract.fault_steps import FaultStep
from workers.contract.spec import FileRef, ShardTask, TargetSpec, Tls
from workers.faults.aiming import INDICES_OF_A_STEP, aims_of
from workers.guard import SecretUnsetError
from workers.settings import lone

TARGET = TargetSpec(
    name="chat",
    protocol="openai-chat",
    url="http://127.0.0.1:8000",
    options={"url": "http://127.0.0.1:8000", "model": "m"},
    timeout_s=10.0,
    headers={"authorization": "Bearer ${env:KEY}"},
)
TASK = ShardTask(
    campaign="c", activity="storm", shard=1, of=2, number=3, attempt="storm:1:3", worker="w", incarnation="i",
    spec_sha256="", kind="chaos", expires_s=0.0,
)  # fmt: skip


def _burst(at_s=0.0, for_s=10.0):
    return FaultStep("burst", {"requests": 1}, None, at_s, for_s)


@pytest.fixture
def settings():
    return lone((), {"KEY": "s3cret"})


def test_secrets_are_filled_in_here_and_requests_say_whose_they_are(settings):
    pause = FaultStep("pause-process", {}, None, 0.0, 1.0)
    none, first, second = aims_of([pause, _burst(), _burst()], TARGET, settings=settings, task=TASK)
    assert none is None
    assert first.headers == {"authorization": "Bearer s3cret"}
    assert "s3cret" not in repr(first)
    assert (first.campaign, first.activity, first.number, first.shard, first.of) == ("c", "storm", 3, 1, 2)
    assert (first.first, second.first) == (INDICES_OF_A_STEP, 2 * INDICES_OF_A_STEP)
    assert first.per_s is None


def test_a_secret_that_is_not_set_is_said():
    with pytest.raises(SecretUnsetError, match="KEY"):
        aims_of([_burst()], TARGET, settings=lone((), {}))


def test_the_lowest_ceiling_counts_and_is_shared_by_what_runs_together(settings):
    limited = replace(settings, target_limits={"127.0.0.1:8000": 90.0}, slots=3)
    target = changed(TARGET, rate_limit_per_s=50.0)
    alone, together, beside = aims_of(
        [_burst(0.0), _burst(20.0), _burst(25.0)], target, settings=limited, task=TASK
    )
    assert (alone.per_s, alone.whose) == (25.0, "the target's rate_limit")
    assert together.per_s == beside.per_s == 12.5
    (lower,) = aims_of([_burst()], changed(target, rate_limit_per_s=500.0), settings=limited, task=TASK)
    assert (lower.per_s, lower.whose) == (30.0, "this worker's --target-limit")


def test_files_are_where_this_machine_keeps_them(settings):
    ca = FileRef("a" * 64, 1, "ca.pem")
    target = changed(TARGET, tls=Tls(ca=ca, verify=False, server_name="x"))
    (aim,) = aims_of([_burst()], target, settings=settings, files={ca.sha256: "/tmp/ca", "rows": "/tmp/rows"})
    assert (aim.tls.ca, aim.tls.cert, aim.tls.verify, aim.tls.server_name) == ("/tmp/ca", "", False, "x")
    assert aim.files["rows"] == "/tmp/rows"


def test_faults_that_no_clients_do_have_no_aim(settings):
    assert aims_of([_burst()], None, settings=settings) == (None,)
    assert aims_of([FaultStep("noop", {}, None, 0.0, 1.0)], TARGET, settings=settings) == (None,)
