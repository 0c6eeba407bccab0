"""What of a stored run can be sent once more, and in whose words it is refused."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import UsageError
from orchestrator.replay import Asked, Which, order_of, recorded, which_request
from workers.contract import facts as f
from workers.contract.spec import LoadSpec

ROWS = "".join(json.dumps({"prompt": f"say {at}"}) + "\n" for at in range(5))
SHA = hashlib.sha256(ROWS.encode()).hexdigest()
CAMPAIGN = """\
campaign: again
targets:
  chat: {{protocol: openai-chat, model: m, url: "http://127.0.0.1:9"}}
phases:
  - name: only
    activities:
      - name: talk
        kind: load
        target: chat
        arrivals: {{process: constant, rate: 10/s}}
        duration: 2s
        data: rows.jsonl
{more}"""


@pytest.fixture
def stored(tmp_path, monkeypatch) -> Callable[..., Path]:
    """A folder of results of a run of two shards; `ends`: how the attempts did. Its data is here."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text(ROWS)

    def make(*ends: f.Fact, more: str = "", urls: dict[str, str] | None = None) -> Path:
        folder = tmp_path / "out"
        folder.mkdir()
        said = f.Submitted(
            campaign="again-1", text=CAMPAIGN.format(more=more), seed=5, urls=urls or {},
            files={"rows.jsonl": (SHA, len(ROWS))},
        )  # fmt: skip
        placed = [
            f.Placed(
                attempt=f"talk:{shard}:1", phase="only", activity="talk", shard=shard, of=2, number=1,
                worker="w", incarnation="i",
            )
            for shard in range(2)
        ]  # fmt: skip
        lines = [f.encode_fact(fact) for fact in (said, *placed, *ends)]
        (folder / "journal.jsonl").write_bytes(b"\n".join(lines) + b"\n")
        return folder

    return make


def ended(shard: int, outcome: str = "done", why: str = "") -> f.Exited:
    return f.Exited(attempt=f"talk:{shard}:1", outcome=outcome, why=why)  # type: ignore[arg-type]


def test_an_id_is_read_from_its_end_for_an_activity_may_hold_a_slash():
    assert which_request("peak/surge/17/2") == Which("peak/surge/17/2", "peak/surge", 17, 2)
    for wrong in ("", "surge", "surge/1", "surge/x/1", "surge/1/-1", "/1/1"):
        with pytest.raises(UsageError, match="is no request's id"):
            which_request(wrong)


def test_an_order_names_the_run_its_data_by_content_and_its_seed(stored):
    order = order_of(stored(ended(0), ended(1)), which_request("talk/3/1"), Asked())
    assert (order.campaign, order.activity, order.index) == ("again-1", "talk", 3)
    assert isinstance(order.spec, LoadSpec)
    assert order.spec.seed == 5
    assert {sha: Path(path).read_text() for sha, path in order.files.items()} == {SHA: ROWS}
    assert (order.notes, order.recorded) == ((), None)


def test_another_url_takes_the_place_of_the_targets(stored):
    order = order_of(stored(), which_request("talk/3/1"), Asked(url="http://127.0.0.1:8"))
    assert (order.spec.target.url, order.spec.target.options["url"]) == ("http://127.0.0.1:8",) * 2


@pytest.mark.parametrize(
    ("end", "note"),
    [
        (f.Lost(attempt="talk:1:1", fence_s=9.0, why="its lease ran out"), "was lost (its lease ran out)"),
        (ended(1, "died", "engine killed"), "ended early (engine killed)"),
        (ended(1, "stopped"), "ended early: whether"),
    ],
)
def test_what_the_run_does_not_know_of_an_attempt_is_said(stored, end, note):
    folder = stored(ended(0), end)
    (said,) = order_of(folder, which_request("talk/3/1"), Asked()).notes
    assert note in said
    assert order_of(folder, which_request("talk/2/1"), Asked()).notes == ()


@pytest.mark.parametrize(
    ("more", "id_", "why"),
    [
        ("", "talk/20/1", "talk has only 20 requests, counted from 0"),
        ("", "talk/1/2", "there was no attempt 2 at talk, at most 1"),
        ("        sessions: {turns: 3}\n", "talk/60/1", "talk has only 60 requests"),
        ("        sessions: {turns: 3}\n", "talk/4/1", "turn 2 of its conversation.*first turn is talk/3/1"),
    ],
)
def test_what_cannot_be_made_again_is_refused(stored, more, id_, why):
    with pytest.raises(UsageError, match=why):
        order_of(stored(more=more), which_request(id_), Asked())


def test_the_first_turn_of_a_conversation_can_be_made_again(stored):
    folder = stored(more="        sessions: {turns: 3}\n")
    for index in (3, 57):
        assert order_of(folder, which_request(f"talk/{index}/1"), Asked()).index == index


def test_data_that_is_gone_or_has_changed_is_named(stored, tmp_path):
    folder = stored()
    (tmp_path / "rows.jsonl").write_text(ROWS + ROWS)
    with pytest.raises(UsageError, match=r"rows.jsonl has changed since the run"):
        order_of(folder, which_request("talk/3/1"), Asked())
    (tmp_path / "rows.jsonl").unlink()
    with pytest.raises(UsageError, match=r"rows.jsonl cannot be read .*beside the file of --campaign"):
        order_of(folder, which_request("talk/3/1"), Asked())


def test_a_journal_that_is_none_says_so(stored):
    folder = stored()
    (folder / "journal.jsonl").write_text("{}\n")
    with pytest.raises(UsageError, match=r"journal.jsonl:1 cannot be read"):
        order_of(folder, which_request("talk/3/1"), Asked())


def test_the_report_tells_of_the_slowest_and_of_some_that_failed(tmp_path):
    said = {
        "slowest": [{"request_id": "talk/1/1", "outcome": "ok", "intended_s": 0.1, "latency_s": 2.0,
                     "service_time_s": 1.9, "status": 200, "trace_id": "ab", "asked": "", "answered": ""}],
        "errors": [{"request_id": "talk/2/1", "outcome": "reset", "intended_s": 0.2, "text": "gone"}],
    }  # fmt: skip
    (tmp_path / "report.json").write_text(json.dumps({"activities": {"talk": said}}))
    slow = recorded(tmp_path, which_request("talk/1/1"))
    assert slow is not None
    assert (slow.latency_s, slow.status) == (2.0, 200)
    failed = recorded(tmp_path, which_request("talk/2/1"))
    assert failed is not None
    assert (failed.outcome, failed.why, failed.latency_s) == ("reset", "gone", None)
    assert recorded(tmp_path, which_request("talk/3/1")) is None
