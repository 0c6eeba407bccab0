"""When schedules are due: summer time, jitter that is the same whoever asks, expressions that cannot be."""

from datetime import datetime
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import UsageError
from orchestrator.gameday.cron import Cron, check_cron, runs

BERLIN = ZoneInfo("Europe/Berlin")


def shown(cron: Cron, after: str, count: int) -> list[str]:
    """Its next runs as a clock in Berlin shows them."""
    after_s = datetime.fromisoformat(after).replace(tzinfo=BERLIN).timestamp()
    found = islice(runs(cron, after_s=after_s), count)
    return [f"{datetime.fromtimestamp(one.due_s, BERLIN):%m-%d %H:%M %z}" for one in found]


def test_a_schedule_of_every_tuesday_at_ten_stays_at_ten_through_summer_time() -> None:
    cron = Cron("a", "0 10 * * tue", "Europe/Berlin")
    assert shown(cron, "2026-03-20 00:00", 3) == [
        "03-24 10:00 +0100",
        "03-31 10:00 +0200",
        "04-07 10:00 +0200",
    ]


def test_a_run_at_a_time_that_summer_time_leaves_out_comes_right_after_the_gap() -> None:
    cron = Cron("a", "30 2 * * *", "Europe/Berlin")
    assert shown(cron, "2026-03-28 12:00", 2) == ["03-29 03:00 +0200", "03-30 02:30 +0200"]


def test_a_run_at_a_time_that_comes_twice_is_done_once() -> None:
    cron = Cron("a", "30 2 * * *", "Europe/Berlin")
    assert shown(cron, "2026-10-24 12:00", 2) == ["10-25 02:30 +0200", "10-26 02:30 +0100"]
    second = datetime(2026, 10, 25, 2, 10, tzinfo=BERLIN, fold=1).timestamp()
    first = next(runs(cron, after_s=second))
    assert f"{datetime.fromtimestamp(first.due_s, BERLIN):%m-%d %H:%M}" == "10-26 02:30"


@given(st.integers(0, 2**40), st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York"]))
def test_runs_come_in_order_after_the_moment_each_within_its_jitter(seed: int, zone: str) -> None:
    cron = Cron("a", "*/5 * * * *", zone, jitter_s=60, seed=seed)
    start_s = 1_790_000_000 + seed % 40_000_000
    found = list(islice(runs(cron, after_s=start_s), 20))
    assert all(one.due_s > start_s for one in found)
    assert all(sooner.due_s < later.due_s for sooner, later in pairwise(found))
    assert all(0 <= one.at_s - one.due_s < 60 for one in found)


def test_the_jitter_is_the_same_whoever_asks_and_another_for_another_run_name_or_seed() -> None:
    def jitters(name: str, seed: int) -> list[float]:
        cron = Cron(name, "0 * * * *", "UTC", jitter_s=600, seed=seed)
        return [one.at_s - one.due_s for one in islice(runs(cron, after_s=1_790_000_000), 50)]

    assert jitters("a", 1) == jitters("a", 1)
    assert len(set(jitters("a", 1))) == 50
    assert jitters("a", 1) != jitters("a", 2)
    assert jitters("a", 1) != jitters("b", 1)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        (Cron("a", "0 10 * * tue", "Mars/Phobos"), "no time zone 'Mars/Phobos'"),
        (Cron("a", "* * * *", "UTC"), "five fields"),
        (Cron("a", "0 0 10 * * tue", "UTC"), "five fields"),
        (Cron("a", "61 10 * * tue", "UTC"), "Bad minute"),
        (Cron("a", "0 0 30 2 *", "UTC"), "Bad day-of-month"),
        (Cron("a", "* * * * *", "UTC", jitter_s=60), "must stay below 60s"),
        (Cron("a", "0 10 * * tue", "UTC", jitter_s=7200), "must stay below 3600s"),
    ],
)
def test_a_time_that_cannot_be_is_refused_with_what_to_say(cron: Cron, words: str) -> None:
    with pytest.raises(UsageError, match="(?s)" + words.replace("(", r"\(")):
        check_cron(cron, now_s=1_790_000_000)


def test_a_time_that_can_be_is_taken() -> None:
    check_cron(Cron("a", "0 10 * * tue", "Europe/Berlin", jitter_s=300), now_s=1_790_000_000)
