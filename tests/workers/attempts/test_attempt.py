"""What a real worker believes: tasks that its key has signed, and halts of people; and nothing else."""

import secrets
import subprocess
import sys
import time

import msgspec
import psutil
import pytest

from workers.contract.broker import names
from workers.contract.data import Fixed, SyntheticData
from workers.contract.facts import Claimed, Exited, FaultSeen, Ready, TaskRefused
from workers.contract.fault_steps import FaultStep
from workers.contract.schedule import OpenArrivals, Segment
from workers.contract.signed.halts import Press, encode_press, sign_press
from workers.contract.signed.signing import NO_KEYS, Keys, read_keys
from workers.contract.signed.trust import sign_task
from workers.contract.spec import ChaosSpec, LoadSpec, ShardTask, TargetSpec, encode_spec

CAMPAIGN = "trial-1"
OPS, ADA, EVE = (f"{name}={secrets.token_hex(32)}" for name in ("ops", "ada", "eve"))
SILENT_WITHIN_S = 9.0
"""Three times the 3 s that are promised."""


def noop(**given) -> ChaosSpec:
    keys = {"fault": "noop", "match": None, "for_s": 0.1} | given
    step = FaultStep(options={}, at_s=0.0, **keys)
    return ChaosSpec(campaign=CAMPAIGN, phase="p", activity="drill", steps=(step,), fence_s=60.0)


def load(url: str) -> LoadSpec:
    arrivals = OpenArrivals("constant", (Segment(0.0, 60.0, 50.0, 50.0),), 7, "peak")
    options = {"url": url, "model": "demo"}
    target = TargetSpec(name="chat", protocol="openai-chat", url=url, options=options, timeout_s=5.0)
    return LoadSpec(
        campaign=CAMPAIGN, phase="p", activity="peak", kind="load", target=target, arrivals=arrivals,
        warmup_s=0.0, max_in_flight=50, data=SyntheticData(Fixed(2), Fixed(1)), bounds=(), tag_groups=(),
        seed=7, fence_s=60.0,
    )  # fmt: skip


@pytest.fixture
def trusting(stage):
    """A worker that takes the tasks of `ops` and hears `ada`, for a campaign that lives."""
    stage.lead()
    stage.leads_with = OPS
    stage.client.zadd(names.CAMPAIGNS, {CAMPAIGN: 1.0})
    stage.worker(SHAKEOUT_SIGNING_KEY=OPS, SHAKEOUT_SUBMITTER_KEYS=ADA)
    return stage


@pytest.fixture
def task_of(trusting):
    """A task as a leader would make it, the spec stored; signed by `ops` unless told."""
    numbers = iter(range(1, 100))

    def make(spec, *, signed_by: Keys | str = OPS, **given) -> ShardTask:
        sha256, body = encode_spec(spec)
        trusting.client.hset(names.specs(CAMPAIGN), sha256, body)
        kind, number = ("load" if isinstance(spec, LoadSpec) else "chaos"), next(numbers)
        plain = ShardTask(
            campaign=CAMPAIGN, activity=spec.activity, shard=0, of=1, number=number,
            attempt=f"{spec.activity}:0:{number}", worker="w1", incarnation=trusting.card().incarnation,
            spec_sha256=sha256, kind=kind, expires_s=time.time() + 60,
        )  # fmt: skip
        keys = signed_by if isinstance(signed_by, Keys) else read_keys(signed_by)
        return sign_task(msgspec.structs.replace(plain, **given), keys=keys)

    return make


@pytest.fixture
def press(trusting):
    """Press a button at the common clock's time, signed by `ada` unless told."""

    def put(button="halt", *, keys: str = ADA) -> bytes:
        seconds, micros = trusting.client.time()
        said = Press("ada", "the pager rings", seconds + micros / 1e6)
        body = encode_press(sign_press(said, purpose=button, keys=read_keys(keys)))
        trusting.client.hset(names.HALT, button, body)
        return body

    return put


def test_a_task_that_no_trusted_key_has_signed_is_refused_and_its_campaign_and_the_fleet_are_told(
    trusting, task_of
):
    whole = task_of(noop())
    refused = {
        "is not signed": task_of(noop(), signed_by=NO_KEYS),
        "foreign key": task_of(noop(), signed_by=EVE),
        "the foreign key " + read_keys(ADA).keys[0].id: task_of(noop(), signed_by=ADA),
        "was altered": msgspec.structs.replace(task_of(noop()), attempt="drill:0:50", shard=1),
        "expired": task_of(noop(), expires_s=time.time() - 5),
    }
    for task in refused.values():
        trusting.send(task)
    card = trusting.until(lambda: (shown := trusting.card()).refused == len(refused) and shown)
    assert card.trusts == (read_keys(OPS).keys[0].id,)
    facts = trusting.until(lambda: len(found := trusting.facts(TaskRefused)) == len(refused) and found)
    told = {fact.attempt: fact.why for fact in facts}
    for words, task in refused.items():
        assert words in told[task.attempt]
    assert card.refused_why.endswith(tuple(told.values()))
    assert trusting.facts(Claimed) == []
    assert trusting.client.hlen(names.claims(CAMPAIGN)) == 0
    trusting.send(whole)
    trusting.send(whole)
    trusting.start(whole, in_s=0.0)
    assert trusting.fact(Exited).outcome == "done"
    trusting.until(lambda: not trusting.client.exists(names.queue("w1")))
    assert [fact.attempt for fact in trusting.facts(Claimed)] == [whole.attempt], "a replay does nothing"
    assert trusting.card().refused == len(refused)


def test_refusals_go_into_no_journal_of_a_campaign_that_does_not_live_and_a_former_lifes_task_is_none(
    trusting, task_of
):
    late = task_of(noop(), incarnation="a former life", expires_s=time.time() - 5)
    strange = task_of(noop(), signed_by=EVE, campaign="never-heard-of")
    for task in (late, strange):
        trusting.send(task)
    assert "foreign" in trusting.until(lambda: trusting.card().refused_why)
    assert trusting.card().refused == 1
    assert not trusting.client.exists(names.journal("never-heard-of"))
    assert trusting.facts() == []


def test_a_spec_that_was_exchanged_behind_a_signed_task_is_not_carried_out(trusting, task_of):
    task = task_of(noop())
    _, other = encode_spec(noop(for_s=3600.0))
    trusting.client.hset(names.specs(CAMPAIGN), task.spec_sha256, other)
    trusting.send(task)
    exited = trusting.fact(Exited)
    assert (exited.outcome, "is not the one that its task names" in exited.why) == ("error", True)
    assert not exited.known, "what broke in the middle may have sent more than it told"
    assert trusting.facts(FaultSeen) == []


@pytest.fixture
def victim():
    """A process to be paused, known by a word in its arguments."""
    word = "victim-of-the-halt-test"
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()", word])
    yield word, psutil.Process(process.pid)
    process.kill()
    process.wait()


def test_a_halt_silences_engines_and_reverts_faults_though_nobody_leads(
    trusting, task_of, press, victim, target_log
):
    word, process = victim
    url, log = trusting.target("--ttft", "1ms", "--tokens", "1")
    running = task_of(load(url))
    held = task_of(noop(fault="pause-process", match={"cmdline": word}, for_s=600.0))
    for task in (running, held):
        trusting.send(task)
        trusting.start(task, in_s=0.5)
    trusting.until(lambda: process.status() == psutil.STATUS_STOPPED)
    trusting.until(lambda: len(target_log(log, "received")) > 20)
    trusting.client.delete(names.LEADER)
    for keys in (EVE, ""):
        before = trusting.card().refused
        press(keys=keys)
        trusting.until(lambda before=before: trusting.card().refused > before)
    seen = len(target_log(log, "received"))
    trusting.until(lambda: len(target_log(log, "received")) > seen + 20)
    assert process.status() == psutil.STATUS_STOPPED, "a halt of nobody's stops nothing"
    assert not trusting.card().halted
    pressed_ns = time.monotonic_ns()
    press()
    exited = trusting.until(lambda: len(found := trusting.facts(Exited)) == 2 and found, SILENT_WITHIN_S)
    assert process.status() != psutil.STATUS_STOPPED
    assert {fact.why for fact in exited} == {"halted by ada: the pager rings"}
    assert {fact.outcome for fact in exited} == {"stopped"}
    late = [one for one in target_log(log, "received") if one["received_ns"] > pressed_ns + 9e9]
    assert late == []
    trusting.until(lambda: trusting.card().halted)


def test_a_halted_worker_carries_nothing_out_until_a_trusted_resume(trusting, task_of, press):
    halt = press()
    trusting.until(lambda: trusting.card().halted)
    trusting.client.delete(names.HALT)
    press("resume", keys=EVE)
    trusting.until(lambda: trusting.card().refused)
    task = task_of(noop())
    trusting.send(task)
    trusting.start(task, in_s=0.0)
    assert trusting.fact(Exited).why == "halted by ada: the pager rings"
    assert trusting.facts(Ready) == trusting.facts(FaultSeen) == [], "it was not even begun"
    press("resume")
    trusting.client.hset(names.HALT, "halt", halt)
    trusting.until(lambda: not trusting.card().halted)
    again = task_of(noop())
    trusting.send(again)
    trusting.start(again, in_s=0.0)
    trusting.until(lambda: [one for one in trusting.facts(Exited) if one.outcome == "done"])
