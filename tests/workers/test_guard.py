"""Secrets and the allow-list, on this worker's side."""

import hashlib
from urllib.parse import urlsplit

import msgspec
import pytest

from workers.contract.broker import names
from workers.contract.data import Fixed, SyntheticData
from workers.contract.errors import TargetRefusedError
from workers.contract.facts import Exited, Ready
from workers.contract.schedule import OpenArrivals, Segment
from workers.contract.spec import FileRef, LoadSpec, RegressionSpec, TargetSpec
from workers.guard import SecretUnsetError, check_target, fill
from workers.settings import parse


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "TOKEN").write_text("from-a-file\n")
    environment = {
        "SHAKEOUT_BROKER": "redis://127.0.0.1",
        "TOKEN": "from-env",
        "SHAKEOUT_SECRETS": str(tmp_path),
    }
    return parse(["--name", "w1"], environment)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Bearer ${env:TOKEN}", "Bearer from-env"),
        ("${file:TOKEN}/${env:TOKEN}", "from-a-file/from-env"),
        ("$${env:TOKEN}", "${env:TOKEN}"),
        ("$TOKEN ${TOKEN} ${env:1}", "$TOKEN ${TOKEN} ${env:1}"),
    ],
)
def test_references_are_filled_and_all_else_stays(settings, text, filled):
    assert fill(text, settings) == filled


@pytest.mark.parametrize("source", ["env", "file"])
def test_an_unset_secret_is_named_with_the_worker(settings, source):
    with pytest.raises(SecretUnsetError, match=rf"\$\{{{source}:NOPE\}}.*worker w1"):
        fill(f"${{{source}:NOPE}}", settings)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:9", ()),
        ("http://[::1]:9", ()),
        ("http://chat.internal", ()),  # a name: the engine judges the address that it connects to
        ("http://10.1.2.3:80", ("10.0.0.0/8",)),
        ("https://10.1.2.3", ("10.1.2.3:443",)),
    ],
)
def test_targets_that_may_be_loaded_pass(url, allowed):
    check_target(url, allowed)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [("http://10.1.2.3", ()), ("https://10.1.2.3", ("10.1.2.3:80",)), ("ftp://127.0.0.1", ()), ("x", ())],
)
def test_literal_addresses_off_the_list_are_refused(url, allowed):
    with pytest.raises(TargetRefusedError):
        check_target(url, allowed)


def load(target: TargetSpec) -> LoadSpec:
    arrivals = OpenArrivals("constant", (Segment(0.0, 1.0, 10.0, 10.0),), 7, "peak")
    return LoadSpec(
        campaign="trial-1", phase="p", activity="peak", kind="load", target=target, arrivals=arrivals,
        warmup_s=0.0, max_in_flight=5, data=SyntheticData(Fixed(2), Fixed(1)), bounds=(), tag_groups=(),
        seed=7, fence_s=10.0,
    )  # fmt: skip


def regression(target: TargetSpec, stage) -> RegressionSpec:
    request = {"messages": [{"role": "user", "content": "one"}]}
    body = msgspec.json.encode({"id": "a", "request": request, "expected": {"content": "one"}}) + b"\n"
    golden = FileRef(hashlib.sha256(body).hexdigest(), len(body), "golden.jsonl")
    stage.client.rpush(names.file_chunks(golden.sha256), body)
    return RegressionSpec(
        campaign="trial-1", phase="p", activity="golden", target=target, golden=golden, compare={},
        concurrency=1, limit=None, bounds=(), tag_groups=(), seed=1, fence_s=10.0,
    )  # fmt: skip


def target_of(url: str) -> TargetSpec:
    options = {"url": url, "model": "demo"}
    return TargetSpec(name="chat", protocol="openai-chat", url=url, options=options, timeout_s=5.0)


def test_a_name_that_leads_to_an_address_off_the_list_is_refused_by_probe_load_and_regression(
    stage, target_log
):
    stage.lead()
    url, log = stage.target()
    port = urlsplit(url).port
    elsewhere = f"http://0:{port}"  # resolves to 0.0.0.0, by which Linux reaches the very same target
    stage.worker("w1", "--allow-target", "10.0.0.0/8", "--allow-target", "chat.internal")
    specs = [
        (load(target_of(elsewhere)), "load", True),
        (load(target_of(elsewhere)), "load", False),
        (regression(target_of(elsewhere), stage), "regression", False),
    ]
    for number, (spec, kind, probe) in enumerate(specs, start=1):
        task = stage.place(spec, kind=kind, number=number, probe=probe)
        stage.start(task, in_s=0.0)
        exited = stage.until(lambda task=task: [x for x in stage.facts(Exited) if x.attempt == task.attempt])[
            0
        ]
        assert exited.outcome == "refused"
        assert f"target 0:{port} (0.0.0.0) is not on this worker's allow-list" in exited.why
    assert not log.exists() or not log.read_text()
    task = stage.place(load(target_of(url)), kind="load", number=9, probe=True)
    stage.start(task)
    stage.until(lambda: len(target_log(log, "received")) == 10)


def test_a_proxy_in_the_environment_is_not_used(stage, target_log):
    stage.lead()
    url, log = stage.target()
    nowhere = "http://127.0.0.1:9"
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"), nowhere)
    stage.worker(**proxies)
    task = stage.place(load(target_of(url)), kind="load", probe=True)
    stage.fact(Ready)
    stage.start(task)
    assert stage.fact(Exited).outcome == "done"
    assert len(target_log(log, "received")) == 10
