"""What held, by class of fault, with what was not tried."""

from orchestrator.gameday.resilience import Tried, class_of, classes, scores


def test_a_fault_is_of_the_class_of_its_room() -> None:
    assert class_of("pause-process") == "process"
    assert class_of("noop") == "noop"
    assert class_of("never-heard-of") == "other"


def test_a_class_that_was_not_tried_is_named_all_the_same() -> None:
    found = {one.name: one for one in scores([])}
    assert set(found) == set(classes())
    assert all((one.held, one.tried, one.planned) == (0, 0, 0) for one in found.values())


def test_what_cannot_be_judged_is_planned_and_not_tried() -> None:
    tried = [Tried("pause-process", True), Tried("kill-process", False), Tried("kill-process", None)]
    process = next(one for one in scores(tried) if one.name == "process")
    assert (process.held, process.tried, process.planned) == (1, 2, 3)


def test_the_fault_that_does_nothing_is_no_class_that_is_missed() -> None:
    assert "noop" not in classes()
