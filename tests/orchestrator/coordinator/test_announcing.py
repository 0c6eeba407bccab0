"""Webhooks: told beside the loop, only where the operator lets them, failures without any secret."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from orchestrator.coordinator import announcing
from orchestrator.coordinator.announcing import MOST_WAITING, Announcing, Permitted, fill, not_permitted
from orchestrator.coordinator.news import CampaignNews, words
from orchestrator.errors import UsageError
from orchestrator.store.entries import Entry
from workers.contract import facts as f

SECRET = "T00/B00/xyz"
WITHIN_S = 30.0


def eventually(what: Callable[[], Any]) -> Any:
    """The first true answer of `what`."""
    until_s = time.monotonic() + WITHIN_S
    while not (found := what()):
        assert time.monotonic() < until_s, f"not within {WITHIN_S:g} s"
        time.sleep(0.02)
    return found


class Hook:
    """A webhook that keeps what it was told; `status`: what it answers."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, str]]] = []
        self.status = 200
        hook = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.said.append((self.path, json.loads(body)))
                self.send_response(hook.status)
                if hook.status == 302:
                    self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def hook() -> Iterator[Hook]:
    one = Hook()
    yield one
    one.server.shutdown()
    one.server.server_close()


def test_a_webhook_is_told_as_slack_wants_it_with_the_secrets_of_this_host(hook, tmp_path) -> None:
    (tmp_path / "TOKEN").write_text("abc\n")
    told = Announcing(Permitted((), {"HOOK": SECRET}, tmp_path))
    told.tell("c", url=hook.url + "/${env:HOOK}?t=${file:TOKEN}", what="the start", text="hello")
    eventually(lambda: hook.said)
    assert hook.said == [(f"/hook/{SECRET}?t=abc", {"text": "hello"})]
    assert told.failures("c") == []


@pytest.mark.parametrize(("status", "words"), [(500, "it answered 500"), (302, "it answered 302")])
def test_a_webhook_that_does_not_take_it_is_asked_again_and_then_said_to_have_failed(
    hook, status, words
) -> None:
    hook.status = status
    told = Announcing()
    told.tell("c", url=hook.url, what="the start", text="hello")
    found = eventually(lambda: told.failures("c"))
    assert found == [("the start", words)]
    assert len(hook.said) == 3, "a redirection is not followed"


def test_a_webhook_that_nobody_answers_never_makes_its_caller_wait_and_no_secret_is_told(monkeypatch) -> None:
    monkeypatch.setattr(announcing, "REST_S", 0.0)  # or it would still be at it when the tests are over
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/{SECRET}"
        told = Announcing()
        failed: list[tuple[str, str]] = []
        for number in range(MOST_WAITING + 5):
            told.tell("c", url=url, what=f"number {number}", text="hello")
        eventually(lambda: failed.extend(told.failures("c")) or len(failed) == MOST_WAITING + 5)
    assert SECRET not in repr(failed)
    assert any("wait already" in why or "Refused" in why for _, why in failed)


def test_a_webhook_that_hangs_holds_up_no_other_campaigns(hook, monkeypatch) -> None:
    monkeypatch.setattr(announcing, "TIMEOUT_S", 3 * WITHIN_S)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        told = Announcing()
        told.tell("hangs", url=f"http://127.0.0.1:{silent.getsockname()[1]}/x", what="a", text="hello")
        told.tell("well", url=hook.url, what="a", text="hello")
        eventually(lambda: hook.said)
        assert told.failures("hangs") == [], "it did not wait for the other one"


def test_a_webhook_that_never_comes_to_the_end_of_its_answer_is_cut_off(monkeypatch) -> None:
    monkeypatch.setattr(announcing, "ANSWER_WITHIN_S", 0.5)
    monkeypatch.setattr(announcing, "REST_S", 0.0)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            while not over.is_set():
                way, _ = server.accept()
                with way:
                    try:
                        while not over.wait(0.05):
                            way.send(b"H")
                    except OSError:
                        pass

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        told = Announcing()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        told.tell("c", url=url, what="the start", text="hello")
        ((what, why),) = eventually(lambda: told.failures("c"))
        assert (what, bool(why)) == ("the start", True)
        over.set()
        with socket.create_connection(server.getsockname()):
            thread.join(WITHIN_S)


def test_threads_of_campaigns_that_have_nothing_more_to_tell_end(hook, monkeypatch) -> None:
    monkeypatch.setattr(announcing, "IDLE_S", 0.05)
    told = Announcing()
    for number in range(3):
        told.tell(f"c-{number}", url=hook.url, what="a", text="hello")
    eventually(lambda: len(hook.said) == 3)
    eventually(lambda: not [one for one in threading.enumerate() if one.name.startswith("announcing c-")])
    told.tell("c-0", url=hook.url, what="a", text="again")
    eventually(lambda: len(hook.said) == 4)


def test_too_many_campaigns_at_once_are_refused_and_what_nobody_asks_for_is_forgotten(monkeypatch) -> None:
    monkeypatch.setattr(announcing, "MOST_LINES", 0)
    monkeypatch.setattr(announcing, "MOST_CAMPAIGNS", 2)
    told = Announcing()
    for number in range(3):
        told.tell(f"c-{number}", url="http://127.0.0.1:9/x", what="a", text="hello")
    assert told.failures("c-0") == []
    assert told.failures("c-2") == [("a", "the webhooks of 0 campaigns are being told already")]


@pytest.mark.parametrize(
    ("url", "hosts", "words"),
    [
        ("http://127.0.0.1:9/x", (), ""),
        ("http://localhost/x", (), ""),
        ("https://hooks.slack.com/x", ("hooks.slack.com",), ""),
        ("https://hooks.slack.com/x", ("hooks.slack.com:443",), ""),
        ("https://hooks.slack.com:8443/x", ("hooks.slack.com:443",), "--announce-to hooks.slack.com"),
        ("https://evil.example/x", ("hooks.slack.com",), "not among the hosts"),
        ("https://hooks.slack.com.evil.example/x", ("hooks.slack.com",), "not among the hosts"),
        ("https://anywhere.example/x", ("*",), ""),
        ("ftp://hooks.slack.com/x", ("*",), "no http"),
    ],
)
def test_only_hosts_that_the_operator_lists_are_told(url, hosts, words) -> None:
    why = not_permitted(url, hosts)
    assert words in why
    assert bool(words) == bool(why)


def test_a_secret_that_is_not_set_is_named_and_a_literal_stays(tmp_path: Path) -> None:
    here = Permitted((), {"A": "1"}, tmp_path)
    assert fill("http://x/${env:A}/$${env:A}", here) == "http://x/1/${env:A}"
    for missing in ("${env:B}", "${file:B}"):
        with pytest.raises(UsageError, match="is not set on the coordinator"):
            fill(f"http://x/{missing}", here)


class Kept(Announcing):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def tell(self, campaign: str, *, url: str, what: str, text: str) -> None:
        self.texts.append(text)


def test_news_are_told_once_old_ones_and_hidden_ones_not_at_all(campaign_of, load_activity) -> None:
    campaign = campaign_of(("only", load_activity), top="gameday: {announce: http://127.0.0.1:9/x}\n")
    kept = Kept()
    news = CampaignNews("c-1", kept, since_s=100.0)
    entries = [
        Entry("99000-0", f.PhaseStarted(phase="old", start_s=1.0)),
        Entry("100000-0", f.PhaseStarted(phase="only", start_s=1.0)),
        Entry("100001-0", f.FaultSeen(attempt="secret:0:1", what="injected")),
        Entry("100002-0", f.FaultSeen(attempt="hang:0:1", what="injected")),
        Entry("100003-0", f.Denied(phase="only", by="<!channel>", why="a & b")),
    ]
    for _ in range(2):
        news.look(entries, campaign, hidden={"secret"})
    assert kept.texts == [
        "c-1: phase only begins",
        "c-1: fault hang injected",
        "c-1: &lt;!channel&gt; did not approve phase only: a &amp; b",
    ]


def test_a_leader_that_opens_a_campaign_again_tells_what_it_has_not_told_however_long_ago_and_no_more(
    campaign_of, load_activity
) -> None:
    campaign = campaign_of(("only", load_activity), top="gameday: {announce: http://127.0.0.1:9/x}\n")
    kept = Kept()
    entries = [Entry(f"100{n}-0", f.PhaseStarted(phase=f"p{n}", start_s=1.0)) for n in range(4)]
    CampaignNews("c-1", kept, since_s=0.0).look(entries[:2], campaign, hidden=())
    CampaignNews("c-1", kept, since_s=9_000.0).look(entries, campaign, hidden=())
    assert kept.texts == [f"c-1: phase p{n} begins" for n in range(4)]


def test_what_could_not_be_told_is_said_until_the_journal_has_it() -> None:
    kept = Kept()
    news = CampaignNews("c-1", kept, since_s=0.0)
    kept._fail("c-1", "the start", "it answered 500")
    (id_,) = news.failures(5.0)
    kept._fail("c-1", "a phase", "it answered 500")
    both = news.failures(6.0)
    assert both[id_] == f.AnnounceFailed(what="the start", why="it answered 500", at_s=5.0)
    assert len(both) == 2
    news.said(id_)
    assert [one.what for one in news.failures(7.0).values()] == ["a phase"]


def test_an_approval_is_told_with_the_key_that_proves_it_and_why() -> None:
    said = f.Approved(phase="p", by="root", key="boss (1a2b3c4d)", why="all there")
    assert words(said, "c") == ("an approval", "c: root (key boss (1a2b3c4d)) approved phase p: all there")


def test_who_is_asked_for_an_approval_is_told_how_and_until_when() -> None:
    asked = f.ApprovalAsked(phase="p", role="boss", address="jo@example.com", within_s=120.0)
    told = words(asked, "c")
    assert told is not None
    assert "boss (jo@example.com), phase p needs your approval, at the latest 2 min after" in told[1]
    assert told[1].endswith("shakeout approve c p")


def test_a_campaign_that_waits_for_its_turn_is_not_said_to_have_begun() -> None:
    told = words(f.Accepted(), "c")
    assert told is not None
    assert "begins when its turn comes" in told[1]


def test_routine_facts_are_no_news() -> None:
    assert words(f.Claimed(attempt="a:0:1", worker="w", incarnation="i"), "c") is None
    assert words(f.FaultSeen(attempt="a:0:1", what="verified", took_effect=True), "c") is None


def test_a_silence_is_announced_with_its_end_and_when_it_is_gone() -> None:
    created = f.Silenced(
        attempt="p/@watch:0:1", what="created", id="s", matchers='{alertname="A"}', until_s=60
    )
    assert words(created, "c-1") == (
        "a silence",
        'c-1: Alertmanager keeps {alertname="A"} quiet, until 00:01:00 UTC at the latest',
    )
    removed = f.Silenced(attempt="p/@watch:0:1", what="removed", id="s", matchers='{alertname="A"}')
    assert words(removed, "c-1") == ("a silence", 'c-1: the silence of {alertname="A"} is removed')
    failed = f.Silenced(attempt="p/@watch:0:1", what="failed", id="", matchers="", why="a:9093: refused")
    assert words(failed, "c-1") == (
        "a silence",
        "c-1: the silence of a former attempt failed: a:9093: refused",
    )
