"""The books of the torture: they find what is wrong, and nothing where all is well."""

import dataclasses
import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
NAME = "load-1"


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch):
    """Modules of the torture, which is a program of its own beside the product."""
    monkeypatch.syspath_prepend(str(ROOT))

    def load(name: str) -> ModuleType:
        return importlib.import_module(f"tests.torture.{name}")

    return load


class Case:
    """One load of 600 arrivals or so that is over, as its report and the target's log tell of it."""

    def __init__(self, room, folder: Path) -> None:
        rounds, self.books = room("rounds"), room("books")
        text = folder / "001.yaml"
        keys = {"name": NAME, "seed": 5, "url": "http://127.0.0.1:9"} | rounds.KEYS["load"]
        text.write_text((rounds.HEAD + rounds.BODY["load"]).format(**keys))
        self.runs, out = folder / "runs", folder / "out"
        for place in (self.runs / "id", out):
            place.mkdir(parents=True)
        for name in self.books.FILES:
            (self.runs / "id" / name).touch()
        (out / "report.json").touch()
        self.round = rounds.Round(1, "load", NAME, "id", 0, text, out, 1.0)
        self.block, self.shards = self.books.planned(self.round)
        self.seen = self.block.indices.tolist()
        self.facts = [{"fact": "placed", "attempt": "a:0:1"}, {"fact": "ended", "verdict": "pass"}]
        self.gaps: list[dict[str, object]] = []
        self.unsent = self.unknown = 0
        self.verdict = "pass"
        self.counts: dict[str, int] = {}

    def drops(self, shard: int, *, from_s: float, until_s: float) -> int:
        """The log lacks these arrivals; how many they are."""
        gone = {
            index
            for index, at_ns in zip(self.block.indices.tolist(), self.block.times_ns.tolist(), strict=True)
            if index % self.shards == shard and from_s <= at_ns / 1e9 < until_s
        }
        self.seen = [index for index in self.seen if index not in gone]
        return len(gone)

    def wrong(self) -> list[str]:
        scheduled = len(self.block.indices)
        sent = scheduled - self.unsent - self.unknown
        counts = {
            "scheduled": scheduled, "sent": sent, "ok": sent, "failed": 0, "unsent": self.unsent,
            "unknown": self.unknown,
        }  # fmt: skip
        activity = {
            "requests": self.counts or counts, "gaps": self.gaps, "generator": {"twice": 0},
            "cases": {"judged": 60, "passed": 60},
        }  # fmt: skip
        report = {"verdict": self.verdict, "reasons": [], "faults": [], "activities": {NAME: activity}}
        (self.runs / "id" / "report.json").write_text(json.dumps(report))
        lines = "".join(json.dumps(fact) + "\n" for fact in self.facts)
        (self.runs / "id" / "journal.jsonl").write_text(lines)
        return list(self.books.audit(self.round, runs=self.runs, log={NAME: self.seen}))


@pytest.fixture
def case(room, tmp_path: Path) -> Case:
    """One that is as it should be."""
    return Case(room, tmp_path)


def test_what_is_as_it_should_be_is_not_complained_of(case) -> None:
    assert case.wrong() == []


def test_an_arrival_that_was_offered_twice_is_found(case) -> None:
    case.seen.append(17)
    assert case.wrong() == ["arrivals [17] were offered twice"]


def test_a_gap_that_is_told_is_right_and_one_that_is_not_is_found(case) -> None:
    case.unsent = case.drops(1, from_s=2.0, until_s=4.0)
    gap = {"shard": 1, "from_s": 2.0, "until_s": 4.0, "unsent": case.unsent, "unknown": 0}
    case.gaps = [gap]
    assert case.wrong() == []
    case.gaps = [gap | {"until_s": 3.0}]
    assert len(case.wrong()) == 2
    case.gaps = [gap | {"shard": 2}]
    assert len(case.wrong()) == 2
    case.gaps = [gap | {"unsent": 0, "unknown": case.unsent}]
    case.unsent, case.unknown = 0, case.unsent
    assert case.wrong() == []


def test_requests_that_the_report_counts_and_the_target_never_saw_are_found(case) -> None:
    case.drops(0, from_s=1.0, until_s=3.0)
    (log, stray) = case.wrong()
    assert "the target's log has" in log
    assert "are missing outside every gap" in stray


@pytest.mark.parametrize("kind", ["users", "regression"])
def test_without_a_schedule_too_the_log_has_no_more_than_the_report_allows(case, kind) -> None:
    case.round = dataclasses.replace(case.round, kind=kind)
    case.seen = [*range(60), 3, 4, 5]
    case.counts = {"scheduled": 63, "sent": 60, "ok": 60, "failed": 0, "unsent": 0, "unknown": 3}
    assert case.wrong() == []
    case.seen.append(6)
    assert [why.split(",")[0] for why in case.wrong()] == ["the target's log has 64"]
    case.seen = list(range(59))
    assert "the target's log has 59" in [why.split(",")[0] for why in case.wrong()]


def test_a_fact_that_stands_twice_and_a_campaign_that_broke_are_found(case) -> None:
    case.facts = [case.facts[0], *case.facts]
    case.facts[-1]["verdict"] = "internal"
    assert case.wrong() == [
        "placed of a:0:1 stands 2 times in the journal", "its journal says that it ended with ['internal']",
    ]  # fmt: skip


def test_a_verdict_that_blames_the_target_or_is_not_the_commands_is_found(case) -> None:
    case.verdict = "fail"
    assert [why.split(":")[0] for why in case.wrong()] == [
        "the target is blamed, and did nothing wrong", "`submit --wait` exited with 0, the report says fail",
    ]  # fmt: skip


def test_a_campaign_without_results_is_found(case, tmp_path: Path) -> None:
    assert case.wrong() == []
    (tmp_path / "runs" / "id" / "junit.xml").unlink()
    assert list(case.books.audit(case.round, runs=case.runs, log={})) == [
        "it left no junit.xml (exit code 0)"
    ]


def test_the_same_seed_strikes_the_same_blows_and_every_kind_is_among_the_first(room) -> None:
    blows = room("blows")
    one, other = (blows.draw(11, seconds=100, count=12) for _ in range(2))
    assert one == other
    assert one != blows.draw(12, seconds=100, count=12)
    assert {(blow.whom, blow.how) for blow in one} == set(blows.DECK[: blows.KINDS])
    assert all(blows.QUIET_S <= blow.at_s <= 100 for blow in one)
    assert len(blows.draw(11, seconds=600, count=50)) == 50
