"""What a composition comes to: steps in time, strengths, draws."""

import msgspec
import pytest

from orchestrator.campaign.activities import ChaosActivity
from orchestrator.campaign.composing import MOST_STEPS, parts_of, scaled, span_of, steps_of

OPTIONS = msgspec.defstruct(
    "Options", [("it", object, None), ("share", str, "100%"), ("never", object, None)]
)


def activity(**keys):
    return ChaosActivity.model_validate({"name": "c", "kind": "chaos", **keys})


def noop(length="2s", **keys):
    return {"fault": "noop", "for": length, **keys}


def timed(model, **given):
    steps = steps_of(model, **({"seed": 1, "key": "c"} | given))
    return [(step.at_s, step.for_s, step.after) for step in steps]


def test_one_fault_is_one_step():
    model = activity(fault="pause-process", at="5s", match={"port": 80}, **{"for": "2s", "with": {}})
    (step,) = steps_of(model, seed=1, key="c")
    assert (step.fault, step.match, step.at_s, step.for_s, step.after) == (
        "pause-process",
        {"port": 80},
        5,
        2,
        None,
    )
    assert span_of(model) == (5, 7)


def test_a_sequence_waits_for_each_and_pauses_between():
    model = activity(at="10s", pause="3s", faults=[noop(), {"fault": "kill-process"}, noop("1s")])
    assert timed(model) == [(10, 2, None), (15, 0, 0), (18, 1, 1)]
    assert span_of(model) == (10, 19)


def test_parallel_faults_begin_each_at_its_own_time_and_stand_in_order_of_it():
    model = activity(at="10s", order="parallel", faults=[noop(at="5s"), noop("9s")])
    assert timed(model) == [(10, 9, None), (15, 2, None)]
    assert span_of(model) == (10, 19)


def test_steps_of_strength_share_the_time_and_follow_each_other():
    model = activity(
        fault="gpu-memory",
        at="1s",
        intensity=["25%", "50%", "100%"],
        **{"for": "6s", "with": {"size": "8GiB"}},
    )
    steps = steps_of(model, seed=1, key="c")
    assert [(one.at_s, one.for_s, one.after) for one in steps] == [(1, 2, None), (3, 2, 0), (5, 2, 1)]
    assert [one.options["size"] for one in steps] == ["2GiB", "4GiB", "8GiB"]
    assert [one.intensity for one in steps] == [0.25, 0.5, 1.0]


def test_parallel_steps_of_strength_wait_for_their_own_predecessors():
    strong = {"fault": "gpu-memory", "for": "4s", "with": {"size": "8GiB"}, "intensity": ["50%", "100%"]}
    model = activity(order="parallel", faults=[strong, noop("3s", at="1s")])
    assert timed(model) == [(0, 2, None), (1, 3, None), (2, 2, 0)]


def test_a_draw_depends_on_seed_and_key_alone_and_keeps_to_its_time():
    faults = [noop("3s"), noop("1s"), {"fault": "kill-process"}]
    model = activity(at="10s", order="random", pause="1s", faults=faults, **{"for": "30s"})
    drawn = timed(model)
    assert drawn == timed(model)
    assert any(drawn != timed(model, seed=seed) for seed in range(2, 9))
    assert any(drawn != timed(model, key=key) for key in "abcdefg")
    assert all(at_s + for_s <= 40 for at_s, for_s, _ in drawn)
    assert [after for *_, after in drawn] == [None, *range(len(drawn) - 1)]
    assert span_of(model) == (10, 40)


@pytest.mark.parametrize("seed", range(5))
def test_every_fault_of_a_draw_has_its_turn_before_any_has_its_second(seed):
    faults = [noop(f"{1 + number / 10}s") for number in range(6)]
    model = activity(order="random", faults=faults, **{"for": "20s"})
    drawn = [step.for_s for step in steps_of(model, seed=seed, key="c")]
    assert len(set(drawn[:6])) == 6
    assert len(drawn) > 6


def test_no_draw_has_more_steps_than_a_worker_takes():
    model = activity(order="random", faults=[noop("100ms")], **{"for": "1h"})
    assert len(steps_of(model, seed=1, key="c")) == MOST_STEPS


def test_every_step_has_a_seed_of_its_own():
    model = activity(faults=[noop(), noop(), noop()])
    assert len({step.seed for step in steps_of(model, seed=1, key="c")}) == 3


@pytest.mark.parametrize(
    ("full", "half"),
    [
        ("80%", "40%"),
        ("200ms", "100ms"),
        ("1.5GiB", "0.75GiB"),
        (4, 2),
        (1, 1),
        (0.5, 0.25),
        ("all", "all"),
        (True, True),
    ],
)
def test_strength_multiplies_numbers_and_keeps_their_units(full, half):
    class Kind:
        scales = ("it",)
        Options = OPTIONS

    assert scaled({"it": full, "other": "9s"}, Kind, 0.5) == {"it": half, "other": "9s"}
    assert scaled({"it": full}, Kind, 1.0) == {"it": full}


def test_a_default_has_a_strength_too():
    class Kind:
        scales = ("share", "never")
        Options = OPTIONS

    assert scaled({}, Kind, 0.5) == {"share": "50%"}


def test_the_faults_of_an_activity_know_where_they_stand_in_the_file():
    assert [part.path for part in parts_of(activity(faults=[noop(), noop()]))] == [
        ("faults", 0),
        ("faults", 1),
    ]
    assert [part.path for part in parts_of(activity(**noop()))] == [()]
