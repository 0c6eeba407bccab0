"""Cards as an operator wants to see them: who is alive, what is free, what is not as it should be."""

import pytest

from orchestrator.coordinator.cards import CoordinatorCard
from orchestrator.overview.roster import SHOWN_FOR_S, roster
from workers.contract.broker.names import CARD_S

NOW_S = 10_000.0
LEADER = CoordinatorCard(host="h", pid=1, version="0.1.0", runs="/runs", key="aaaa1111", epoch=1)


@pytest.fixture
def rows(card):
    def make(*cards, used=None, leader=LEADER):
        return roster(cards, used=used or {}, leader=leader, version="0.1.0", now_s=NOW_S)

    return make


@pytest.fixture
def sound(card):
    """A card with nothing wrong."""

    def make(name="w", **given):
        keys = {"trusts": ("aaaa1111",), "seen_s": NOW_S - 0.5} | given
        made = card(name, slots=4, **keys)
        return type(made)(
            **{**{key: getattr(made, key) for key in made.__struct_fields__}, "version": "0.1.0"}
        )

    return make


def test_a_sound_worker_is_alive_without_troubles_and_its_slots_are_free(rows, sound):
    (row,) = rows(sound(), used={"w": 1, "another": 7})
    assert (row.state, row.used, row.free, row.troubles) == ("alive", 1, 3, ())


@pytest.mark.parametrize(
    ("given", "state"),
    [({"draining": True}, "draining"), ({"halted": True}, "halted"), ({"seen_s": NOW_S - CARD_S}, "gone")],
)
def test_slots_of_a_worker_that_takes_nothing_are_not_free(rows, sound, given, state):
    (row,) = rows(sound(**given))
    assert (row.state, row.free) == (state, 0)


def test_a_worker_that_fell_silent_is_shown_as_gone_for_a_while_and_then_no_more(rows, sound):
    shown = rows(
        sound("b", seen_s=NOW_S - SHOWN_FOR_S + 1), sound("a"), sound("c", seen_s=NOW_S - SHOWN_FOR_S)
    )
    assert [(row.worker, row.state) for row in shown] == [("a", "alive"), ("b", "gone")]
    assert shown[1].silent_s == SHOWN_FOR_S - 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"trusts": ("bbbb2222",)}, "does not take tasks signed with the coordinator's key aaaa1111"),
        ({"trusts": ()}, "has no signing key: takes tasks from anybody"),
        (
            {"refused": 1, "refused_why": "the task is not signed"},
            "did not believe a task or order: the task is",
        ),
        (
            {"refused": 3, "refused_why": "the task is not signed"},
            "did not believe 3 tasks or orders: the task",
        ),
        ({"driver": "driver broken: Unknown Error"}, "driver broken: Unknown Error"),
        ({"driver": "driver hangs: no answer within 15 s"}, "driver hangs: no answer within 15 s"),
        ({"driver": "550.54; GPU 1 left out: GPU is lost"}, "550.54; GPU 1 left out"),
        ({"offset_s": 300.2}, "its clock is 5.0 min behind Redis's"),
        ({"offset_s": -2.0}, "its clock is 2.0 s ahead of Redis's"),
    ],
)
def test_what_is_not_as_it_should_be_is_said_in_words(rows, sound, given, words):
    (row,) = rows(sound(**given))
    (trouble,) = row.troubles
    assert trouble.startswith(words)


def test_a_version_is_held_against_the_coordinators_or_else_against_ones_own(rows, sound):
    leader = CoordinatorCard(host="h", pid=1, version="0.2.0", runs="/runs", key="aaaa1111", epoch=1)
    assert rows(sound(), leader=leader)[0].troubles == (
        "is version 0.1.0, the coordinator's is 0.2.0: it gets no work",
    )


@pytest.mark.parametrize("trusts", [(), ("bbbb2222",)])
def test_without_a_coordinator_nothing_is_said_of_keys(rows, sound, trusts):
    assert rows(sound(trusts=trusts), leader=None)[0].troubles == ()


def test_a_worker_that_wants_signed_tasks_is_told_of_where_the_coordinator_signs_none(rows, sound):
    leader = CoordinatorCard(host="h", pid=1, version="0.1.0", runs="/runs", epoch=1)
    assert rows(sound(), leader=leader)[0].troubles == (
        "takes signed tasks only, and the coordinator signs none",
    )
