from workers.fleet import refusals
from workers.fleet.refusals import Refusals


def test_refusals_are_counted_with_the_last_reason():
    some = Refusals()
    assert some.so_far() == (0, "")
    some.add("the task is not signed")
    some.add("a foreign key")
    assert some.so_far() == (2, "a foreign key")


def test_a_refusal_of_long_ago_is_no_longer_told(monkeypatch):
    some = Refusals()
    some.add("the task is not signed")
    monkeypatch.setattr(refusals, "TOLD_FOR_S", -1.0)
    assert some.so_far() == (0, "")
    some.add("a foreign key")
    monkeypatch.setattr(refusals, "TOLD_FOR_S", 600.0)
    assert some.so_far() == (1, "a foreign key")
