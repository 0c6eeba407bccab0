"""What is begun and what was missed: leaders that are away, pauses, and ids that make a run one run."""

from dataclasses import replace
from math import inf

import pytest

from orchestrator.gameday.cron import Run
from orchestrator.gameday.due import (
    LATE_S,
    MOST_MISSED,
    Missed,
    look,
    missed_words,
    next_s,
    run_id,
    run_seed,
)
from orchestrator.gameday.schedules import Added, Changed, Schedule, heard

HOUR_S = 3600.0
NOON_S = 1_790_000_000 // 3600 * 3600.0


@pytest.fixture
def hourly() -> Schedule:
    """Due at each full hour, added a minute before one."""
    added = Added(name="hourly", cron="0 * * * *", timezone="UTC", text="", by="ada", at_s=NOON_S - 60)
    return heard({}, added)["hourly"]


def dues(schedule: Schedule, *, done_s: float, now_s: float) -> list[float]:
    return [run.due_s for run in look(schedule, done_s=done_s, now_s=now_s)[1]]


def test_a_run_begins_when_it_is_due_and_never_before(hourly) -> None:
    assert dues(hourly, done_s=0, now_s=NOON_S - 0.1) == []
    assert dues(hourly, done_s=0, now_s=NOON_S) == [NOON_S]


def test_a_run_that_was_dealt_with_is_not_begun_again(hourly) -> None:
    assert dues(hourly, done_s=NOON_S, now_s=NOON_S + 1) == []
    assert dues(hourly, done_s=NOON_S, now_s=NOON_S + HOUR_S) == [NOON_S + HOUR_S]


def test_a_leader_that_comes_a_little_late_begins_it_still_and_one_that_comes_later_says_it_was_missed(
    hourly,
) -> None:
    assert dues(hourly, done_s=0, now_s=NOON_S + LATE_S) == [NOON_S]
    missed, begin = look(hourly, done_s=0, now_s=NOON_S + LATE_S + 1)
    assert (missed, begin) == (Missed(NOON_S, NOON_S, 1), ())
    assert missed_words(missed) == "1 run due while no coordinator led"


def test_all_runs_of_a_long_absence_are_counted_and_the_one_that_is_due_now_begins(hourly) -> None:
    missed, begin = look(hourly, done_s=0, now_s=NOON_S + 5 * HOUR_S)
    assert missed == Missed(NOON_S, NOON_S + 4 * HOUR_S, 5)
    assert [run.due_s for run in begin] == [NOON_S + 5 * HOUR_S]


def test_of_a_year_without_a_leader_no_more_than_a_bounded_number_is_counted(hourly) -> None:
    missed, begin = look(hourly, done_s=0, now_s=NOON_S + 9000 * HOUR_S)
    assert missed is not None
    assert (missed.count, missed.more, begin) == (MOST_MISSED, True, ())
    again = look(hourly, done_s=missed.last_s, now_s=NOON_S + 9000 * HOUR_S)
    assert again[0] is None, "the next look goes on from there"


def test_what_falls_due_while_it_is_paused_is_neither_begun_nor_missed(hourly) -> None:
    table = heard({"hourly": hourly}, Changed(name="hourly", to="paused", by="ada", at_s=NOON_S - 30))
    assert look(table["hourly"], done_s=0, now_s=NOON_S + 1) == (None, ())
    resumed = Changed(name="hourly", to="resumed", by="ada", at_s=NOON_S + 3 * HOUR_S + 5)
    table = heard(table, resumed)
    assert look(table["hourly"], done_s=0, now_s=NOON_S + 3 * HOUR_S + 6) == (None, ())
    assert dues(table["hourly"], done_s=0, now_s=NOON_S + 4 * HOUR_S) == [NOON_S + 4 * HOUR_S]


def test_a_leader_looks_again_when_there_is_something_to_do(hourly) -> None:
    assert next_s(hourly, done_s=0) == NOON_S
    assert next_s(hourly, done_s=NOON_S) == NOON_S + HOUR_S
    paused = heard({"hourly": hourly}, Changed(name="hourly", to="paused", by="ada", at_s=NOON_S))
    assert next_s(paused["hourly"], done_s=0) == inf


def test_a_run_with_jitter_begins_at_its_own_moment(hourly) -> None:
    late = replace(hourly.added.times, jitter_s=300.0, seed=4)
    schedule = Schedule(
        Added(
            name="hourly", cron=late.expression, timezone="UTC", text="", by="ada", at_s=NOON_S - 60,
            jitter_s=300.0, seed=4,
        ),
        NOON_S - 60,
    )  # fmt: skip
    moments = [now for now in range(600) if dues(schedule, done_s=0, now_s=NOON_S + now)]
    assert 0 < moments[0] < 300
    assert moments[-1] - moments[0] == pytest.approx(LATE_S, abs=1)


def test_a_run_has_one_id_and_one_seed_whoever_begins_it_and_others_have_others(hourly) -> None:
    run, later = Run(NOON_S, NOON_S + 7), Run(NOON_S + HOUR_S, NOON_S + HOUR_S)
    assert run_id(hourly, run, campaign="c") == run_id(hourly, run, campaign="c")
    assert run_id(hourly, run, campaign="c") != run_id(hourly, later, campaign="c")
    assert run_id(hourly, run, campaign="c").startswith("c-2026")
    assert run_seed(hourly, run) == run_seed(hourly, run) != run_seed(hourly, later)
    assert 0 <= run_seed(hourly, run) < 2**63
