import json
import time
import urllib.request

import msgspec
import pytest

from workers.contract.spec import SilenceSpec
from workers.watching.silences import CREATED_BY, Record, Silences, words

SPEC = SilenceSpec((("alertname", "=", "Down"), ("team", "=~", "a|b")), from_s=2.0, until_s=60.0)


@pytest.fixture
def silences_of(alertmanager, place_at, tmp_path):
    """Silences of one attempt, what they told, by the life and the phase that are given."""

    def make(*, life="one", what="shakeout c-1, phase p", url=alertmanager, folder=tmp_path / "silences"):
        told = []
        made = Silences(
            place=place_at(url), specs=(SPEC,), attempt="p/@watch:0:1", what=what, folder=folder, life=life,
            say=told.append,
        )  # fmt: skip
        return made, told

    return make


def standing(url):
    with urllib.request.urlopen(f"{url}/api/v2/silences", timeout=20) as answer:
        return [one for one in json.load(answer) if one["status"]["state"] != "expired"]


def test_a_silence_is_created_when_it_is_due_and_removed_at_the_end(silences_of, alertmanager, tmp_path):
    silences, told = silences_of()
    now_s = time.time()
    silences.tend(start_s=now_s - 1.0, now_s=now_s)
    assert (told, standing(alertmanager)) == ([], [])
    silences.tend(start_s=now_s - 3.0, now_s=now_s)
    silences.tend(start_s=now_s - 3.0, now_s=now_s)
    (one,) = standing(alertmanager)
    assert one["createdBy"] == CREATED_BY
    assert "shakeout c-1, phase p" in one["comment"]
    assert {(m["name"], m["value"], m["isRegex"]) for m in one["matchers"]} == {
        ("alertname", "Down", False), ("team", "a|b", True),
    }  # fmt: skip
    assert [(fact.what, fact.id, fact.matchers) for fact in told] == [("created", one["id"], words(SPEC))]
    assert told[0].until_s == pytest.approx(now_s + 57.0)
    assert len(list((tmp_path / "silences").iterdir())) == 1
    silences.remove()
    assert standing(alertmanager) == []
    assert told[-1].what == "removed"
    assert list((tmp_path / "silences").iterdir()) == []


def test_what_a_former_life_left_is_removed_by_the_next_one(silences_of, alertmanager, tmp_path):
    dead, _ = silences_of(what="shakeout c-0, phase p")
    dead.tend(start_s=time.time() - 3.0, now_s=time.time())
    assert len(standing(alertmanager)) == 1
    same_life, told = silences_of(what="shakeout c-1, phase q")
    same_life.clear_former()
    assert (len(standing(alertmanager)), told) == (1, [])
    next_life, told = silences_of(life="two")
    next_life.clear_former()
    assert standing(alertmanager) == []
    assert [fact.what for fact in told] == ["removed"]


def test_a_silence_that_alertmanager_has_forgotten_is_gone_and_not_left_on_disk(silences_of, tmp_path):
    dead, _ = silences_of()
    dead.tend(start_s=time.time() - 3.0, now_s=time.time())
    (path,) = (tmp_path / "silences").iterdir()
    lost = Record("00000000-0000-0000-0000-000000000000", dead.place.shown, "one")
    path.write_bytes(msgspec.json.encode(lost))
    next_life, told = silences_of(life="two", what="shakeout c-1, phase q")
    next_life.clear_former()
    assert [(fact.what, fact.id) for fact in told] == [("removed", lost.id)]
    assert list((tmp_path / "silences").iterdir()) == []
    dead.remove()


def test_another_worker_finds_the_silences_of_the_phase_that_it_takes_over(
    silences_of, alertmanager, tmp_path
):
    dead, _ = silences_of()
    dead.tend(start_s=time.time() - 3.0, now_s=time.time())
    other, told = silences_of(life="two", folder=tmp_path / "elsewhere")
    other.clear_former()
    assert standing(alertmanager) == []
    assert [fact.what for fact in told] == ["removed"]


def test_an_alertmanager_that_does_not_answer_is_told_once_and_asked_again(silences_of, free_port):
    silences, told = silences_of(url=f"http://127.0.0.1:{free_port()}")
    now_s = time.time()
    for later_s in (0.0, 1.0, 3.0):
        silences.tend(start_s=now_s - 3.0, now_s=now_s + later_s)
    assert [fact.what for fact in told] == ["failed"]
    assert "Connection refused" in told[0].why
