"""What all clients of faults have in common: their end, their ceilings, their secrets, the allow-list."""

import shutil
import ssl
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
import trustme

from workers.chaos import TABLE
from workers.chaos.aim import AimTls
from workers.chaos.clients.admission import MOST_AT_ONCE
from workers.chaos.contract import HostRules, Scene, build, kind_of
from workers.chaos.ledger import read
from workers.chaos.processes import is_alive
from workers.contract.errors import FaultError

CLIENTS = [name for name in TABLE if kind_of(name).client]
GONE_WITHIN_S = 15.0  # 5 s are promised
LIMITED = {"per_s": 5.0, "whose": "the target's rate_limit"}


def _own_of(agent):
    (path,) = agent.open_entries()
    (who,) = read(path).scene.own
    return who


@pytest.mark.parametrize("fault", CLIENTS)
def test_all_connections_are_gone_soon_after_their_worker_is_killed(
    fault, samples, agent, make_order, orphan, pinned, until, tmp_path
):
    sample = samples.SAMPLES[fault](samples.Bench(tmp_path, orphan, pinned))
    order = make_order(None, fault=fault, options=sample.options)
    one = agent(msgspec.structs.replace(order, **sample.order))
    assert one.until_event("verified").took_effect
    until(sample.felt)
    crowd = _own_of(one)
    one.process.kill()
    killed_s = time.monotonic()
    until(lambda: not sample.left() and not one.guardians() and not one.open_entries(), GONE_WITHIN_S)
    assert time.monotonic() - killed_s < GONE_WITHIN_S
    assert not is_alive(crowd)
    assert [path.name for path in one.ledger.iterdir() if path.is_dir()] == ["done"], "no folder is left"
    (done,) = (one.ledger / "done").glob("*.json")
    assert any(read(done).did.values()), "what they did is not lost with their worker"


def test_a_crowd_that_is_killed_is_seen_to_be_gone(agent, make_order, make_aim, witness, until):
    server = witness("listen")
    order = make_order(None, fault="slow-loris", options={"connections": 2}, aim=make_aim(server.url))
    one = agent(order)
    one.until_event("verified")
    subprocess.run(["kill", "-9", str(_own_of(one).pid)], check=True, timeout=10)
    until(lambda: server.open == 0)
    one.stop.write_text("over")
    reverted = one.rest()[-1]
    assert reverted.took_effect is False
    assert "the clients' process ended by itself" in reverted.why


def test_the_last_words_of_clients_that_broke_are_what_broke_them(tmp_path):
    code = """
import asyncio
async def visit(): raise KeyError("ours")
async def main():
    async with asyncio.TaskGroup() as group: group.create_task(visit())
asyncio.run(main())
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    (tmp_path / "own.log").write_text(done.stderr)
    crowd = build("burst", {"requests": 1})
    said = crowd.verify(Scene(key="k", folder=str(tmp_path), until_s=0.0))
    assert said == "the clients' process ended by itself: KeyError: 'ours'"


@pytest.mark.parametrize(
    ("fault", "options", "words"),
    [
        ("slow-loris", {"every": "250ms"}, "50 connections, on each a byte every 0.25 s"),
        ("slow-reader", {"rate": "1KiB/s"}, "10 clients that read 1024 bytes a second"),
        ("disconnect-mid-stream", {"rate": "90/min"}, "1.5 clients a second, each gone after 1 tokens"),
        ("malformed", {"rate": "5/s", "kinds": {"cut": 1, "deep": 0}}, "5 broken requests a second (cut)"),
        ("null-features", {"rate": "5/s"}, "5 requests a second without 50% of the features"),
        ("null-features", {"rate": "5/s", "features": ["a", "b"]}, "5 requests a second without a, b"),
        ("oversize-prompt", {"rate": "5/s", "tokens": 9}, "5 prompts of 9 words a second"),
        ("duplicate", {"rate": "5/s", "copies": 3}, "5 requests a second, each 3 times"),
        ("burst", {"requests": 7, "every": "2s"}, "7 requests at once, every 2 s"),
        ("burst", {"requests": 7}, "7 requests at once"),
        ("burst", {"rate": "7/s"}, "7 requests a second"),
        ("cancel-storm", {"requests": 7}, "7 requests, cancelled after 0.5 s, every 2 s"),
    ],
)
def test_every_kind_says_what_it_does_to_which_target(make_aim, fault, options, words):
    crowd = build(fault, options)
    crowd.aim(make_aim("http://user:secret@chat.test:80/path"))
    scene = Scene(key="k", folder="", until_s=0.0)
    assert crowd.plan(scene) == (f"target chat at http://chat.test:80: {words}",)


@pytest.mark.parametrize(
    ("fault", "options", "per_s"),
    [
        ("slow-loris", {}, 0.0),
        ("duplicate", {"rate": "5/s", "copies": 3}, 15.0),
        ("burst", {"requests": 50}, 0.0),
        ("burst", {"requests": 50, "every": "2s"}, 25.0),
        ("cancel-storm", {"requests": 50, "every": "2s"}, 25.0),
    ],
)
def test_every_kind_says_how_much_it_sends_on_average(fault, options, per_s):
    assert build(fault, options).per_s == per_s


def test_more_than_one_process_can_send_is_refused():
    with pytest.raises(FaultError, match="would make 4000 requests a second; one fault makes at most 2000"):
        build("burst", {"requests": 400, "every": "100ms"})


def test_secrets_reach_the_target_and_nothing_else(agent, make_order, make_aim, witness, until):
    server = witness("stream")
    aim = make_aim(server.url, headers={"Authorization": "Bearer tell-nobody"})
    one = agent(make_order(None, fault="disconnect-mid-stream", options={"rate": "20/s"}, aim=aim))
    one.until_event("verified")
    crowd = Path(f"/proc/{_own_of(one).pid}")
    for seen in (crowd / "cmdline", crowd / "environ", *one.ledger.rglob("*")):
        if seen.is_file():
            assert b"tell-nobody" not in seen.read_bytes(), seen
    one.stop.write_text("over")
    events = one.rest()
    assert "tell-nobody" not in str(events)
    assert server.visitors[0].header("authorization") == "Bearer tell-nobody"
    assert server.visitors[0].header("traceparent").startswith("00-")


@pytest.mark.parametrize(
    ("aimed", "options", "words"),
    [
        (LIMITED, {"rate": "20/s"}, "would send target chat 20/s; the target's rate_limit leaves it 5/s"),
        ({"protocol": "kserve-v2-grpc"}, {"rate": "20/s"}, "speaks HTTP/1.1; target chat is kserve-v2-grpc"),
        ({"url": "http://192.0.2.7:80"}, {"rate": "20/s"}, "is not on this worker's allow-list"),
        ({"url": "ftp://192.0.2.7"}, {"rate": "20/s"}, "is not http://HOST"),
        ({}, {"rate": "20 per second"}, "say a number and one of /s /min /h"),
        ({}, {"rate": "20000/s"}, "at most 2000/s"),
        ({}, {"rate": "20/s", "rows": "nowhere.jsonl"}, "nowhere.jsonl"),
        ({"headers": {"x-bad": "a\r\nb"}}, {"rate": "20/s"}, "header 'x-bad' of target chat holds"),
    ],
)  # fmt: skip
def test_what_may_not_or_cannot_be_sent_is_refused_before_anything_is(
    agent, make_order, make_aim, witness, aimed, options, words
):
    server = witness("stream")
    aim = msgspec.structs.replace(make_aim(server.url), **aimed)
    failed = agent(make_order(None, fault="disconnect-mid-stream", options=options, aim=aim)).rest()[-1]
    assert failed.what == "failed"
    assert words in failed.why
    assert not server.visitors


def test_tls_is_spoken_as_the_target_says(agent, make_order, make_aim, witness, tmp_path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server = witness(200, context=context)
    url = server.url.replace("http://127.0.0.1", "https://localhost")

    def did(**tls):
        aim = make_aim(url, tls=AimTls(**tls))
        order = make_order(None, fault="burst", for_s=1.0, options={"requests": 3}, aim=aim)
        return agent(order).rest()[-1].did

    assert did(ca=str(tmp_path / "ca.pem"))["answers.200"] == 3
    assert did(verify=False)["answers.200"] == 3
    assert did()["failed.tls"] == 3
    assert did(ca=str(tmp_path / "ca.pem"), server_name="elsewhere")["failed.tls"] == 3


def test_a_name_is_judged_by_the_address_that_it_leads_to(agent, make_order, make_aim, witness):
    server = witness("stream")
    aim = make_aim(server.url.replace("127.0.0.1", "localhost"))
    one = agent(make_order(None, fault="burst", for_s=0.5, options={"requests": 2}, aim=aim))
    assert one.rest()[-1].took_effect


def test_an_allowed_place_off_loopback_is_not_refused(agent, make_order, make_aim):
    """192.0.2.0/24 is for documents: nobody answers there."""
    order = make_order(
        None,
        fault="burst",
        for_s=0.5,
        options={"requests": 1},
        rules=HostRules(allow_targets=("192.0.2.0/24",)),
        aim=make_aim("http://192.0.2.7:9"),
    )
    events = agent(order).rest()
    assert [event.what for event in events] == ["injected", "verified", "reverted"]
    assert events[-1].took_effect is False


@pytest.mark.skipif(not shutil.which("prlimit"), reason="needs prlimit, of util-linux")
def test_a_host_without_descriptors_is_not_the_targets_fault(agent, make_order, make_aim, witness):
    server = witness("listen")
    order = make_order(None, fault="burst", for_s=2.0, options={"rate": "200/s"}, aim=make_aim(server.url))
    reverted = agent(order, inside=("prlimit", "--nofile=100:100")).rest()[-1]
    assert reverted.took_effect is False
    assert "visits found this host without descriptors, ports or memory" in reverted.why
    assert "failed.connect" not in reverted.did
    wide = make_order(None, fault="slow-loris", options={"connections": 90}, aim=make_aim(server.url))
    (failed,) = agent(wide, inside=("prlimit", "--nofile=100:100")).rest()
    assert "needs 90 connections; this host allows a process 100 descriptors" in failed.why


def test_without_a_target_clients_do_nothing(agent, make_order):
    (failed,) = agent(make_order(None, fault="burst", options={"requests": 1})).rest()
    assert "is traffic on a target: name it" in failed.why


@pytest.mark.parametrize("fault", ["slow-loris", "slow-reader", "burst", "cancel-storm"])
def test_connections_are_capped(fault):
    key = "connections" if fault.startswith("slow") else "requests"
    with pytest.raises(msgspec.ValidationError, match=str(MOST_AT_ONCE)):
        msgspec.convert({key: MOST_AT_ONCE + 1}, kind_of(fault).Options)
