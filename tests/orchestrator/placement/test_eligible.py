from dataclasses import replace

import pytest
from msgspec import structs

from orchestrator.placement.eligible import (
    ANYTHING_GOES,
    MOST_NAMED,
    Rules,
    Taken,
    gpu_count,
    misses,
    nobody_fits,
    select,
    select_for,
    too_few_slots,
)  # fmt: skip
from orchestrator.plan import ActivityPlan, Where
from workers.contract.facts import Gpu

LOAD = ActivityPlan(
    key="load", name="load", phase="p", kind="load", target="t", where=Where(), shards=None, needs_engine=True
)
MINE = Rules(version="0.1.0", key="ab12cd34")


def test_where_selects_workers_that_meet_all_of_it_by_name(card):
    fleet = [
        card("c", labels=("fast",), gpus=(Gpu("h"), Gpu("h"))),
        card("a", labels=("fast", "eu"), gpus=(Gpu("h"),)),
        card("b", labels=("eu",), gpus=(Gpu("h"), Gpu("h"))),
    ]
    assert [one.worker for one in select(Where(), fleet, seed=1, activity="x")] == ["a", "b", "c"]
    assert [one.worker for one in select(Where(labels=("fast",)), fleet, seed=1, activity="x")] == ["a", "c"]
    both = Where(labels=("fast",), gpus=2)
    assert [one.worker for one in select(both, fleet, seed=1, activity="x")] == ["c"]
    assert [one.worker for one in select(Where(hosts=("host-b",)), fleet, seed=1, activity="x")] == ["b"]


def test_at_most_counts_hosts_and_a_share_is_rounded_down_but_never_to_none(card):
    fleet = [card(f"w{n}", host=f"h{n // 2}") for n in range(10)]
    two = select(Where(at_most_hosts=2), fleet, seed=1, activity="x")
    assert len({one.host for one in two}) == 2
    assert len(two) == 4
    assert len({one.host for one in select(Where(at_most_share=0.5), fleet, seed=1, activity="x")}) == 2
    assert len({one.host for one in select(Where(at_most_share=0.01), fleet, seed=1, activity="x")}) == 1


def test_which_hosts_at_most_cuts_to_follows_from_seed_and_activity_alone(card):
    fleet = [card(f"w{n}") for n in range(8)]
    where = Where(at_most_hosts=1)
    chosen = [select(where, order, seed=3, activity="x") for order in (fleet, fleet[::-1])]
    assert chosen[0] == chosen[1]
    assert len({select(where, fleet, seed=seed, activity="x")[0].worker for seed in range(40)}) > 3
    assert len({select(where, fleet, seed=3, activity=name)[0].worker for name in "abcdefghij"}) > 1


def test_a_draining_worker_fits_nowhere_and_is_said_to_drain(card):
    assert misses(Where(), card("a", draining=True)) == ["is draining"]


def test_a_halted_worker_fits_nowhere_and_is_said_to_be_halted(card):
    assert misses(Where(), card("a", halted=True)) == ["is halted"]


def test_a_worker_of_another_version_is_told_from_the_coordinators(card):
    old = structs.replace(card("a"), version="0.0.9")
    assert misses(Where(), old, Rules(version="0.1.0")) == ["is version 0.0.9, not 0.1.0"]
    assert misses(Where(), card("a"), Rules(version="0.1.0")) == ["is version unknown, not 0.1.0"]
    assert misses(Where(), structs.replace(old, version="0.1.0"), Rules(version="0.1.0")) == []
    assert misses(Where(), old) == []


@pytest.mark.parametrize(
    ("trusts", "key", "missing"),
    [
        ((), "ab12cd34", []),
        ((), "", []),
        (("ab12cd34", "other"), "ab12cd34", []),
        (("other",), "ab12cd34", ["does not take tasks signed with key ab12cd34"]),
        (("other",), "", ["does not take tasks that are not signed"]),
        (("other",), None, []),
    ],
)
def test_a_worker_must_take_tasks_that_are_signed_as_the_coordinator_signs(card, trusts, key, missing):
    assert misses(Where(), card("a", trusts=trusts), Rules(key=key)) == missing


def test_a_gpu_counts_as_its_mig_instances_where_mig_is_on(card):
    whole, split, bare = Gpu("h"), Gpu("h", mig=("1g", "2g", "4g"), mig_on=True), Gpu("h", mig_on=True)
    assert gpu_count(card("a", gpus=(whole, split, bare))) == 4
    assert misses(Where(gpus=4), card("a", gpus=(whole, split))) == []
    assert misses(Where(gpus=1), card("a", gpus=(bare,), driver="550.54")) == [
        "has 0 of 1 GPU (driver 550.54; MIG is on without instances on 1 GPU)"
    ]


def test_why_a_worker_has_no_gpu_is_what_its_driver_says(card):
    assert misses(Where(gpus=2), card("a", driver="no NVIDIA driver")) == [
        "has 0 of 2 GPUs (no NVIDIA driver)"
    ]
    assert misses(Where(), card("a", driver="no NVIDIA driver")) == []


def test_nobody_that_fits_names_who_lacks_least_then_who_has_most_gpus(card):
    on_gpu = replace(LOAD, where=Where(gpus=4, labels=("fast",)))
    fleet = [
        card("a", gpus=(Gpu("h"),), labels=("fast",)),
        card("b", gpus=(Gpu("h"), Gpu("h")), labels=("fast",)),
        card("c", gpus=(Gpu("h"),) * 4, draining=True),
    ]
    assert nobody_fits(on_gpu, fleet, ANYTHING_GOES) == (
        "load: no worker with label fast, 4 or more GPUs; nearest is b, which has 2 of 4 GPUs"
    )
    assert nobody_fits(on_gpu, [], ANYTHING_GOES) == (
        "load: no worker is alive (needs label fast, 4 or more GPUs)"
    )


def test_where_any_worker_would_do_it_is_said_what_keeps_them_all(card):
    assert nobody_fits(LOAD, [card("a", trusts=("other",), draining=True)], MINE) == (
        "load: no worker may run it; nearest is a, which is draining, is version unknown, not 0.1.0, "
        "does not take tasks signed with key ab12cd34"
    )


def test_many_workers_are_counted_and_the_roomiest_named(card):
    fleet = [card(f"w{number}", slots=9) for number in range(MOST_NAMED + 3)]
    free = {one.worker: number for number, one in enumerate(fleet)}
    said = too_few_slots(
        LOAD, 99, selected=fleet, fleet=fleet, rules=ANYTHING_GOES, taken=Taken(free, own=0, held_by={})
    )
    assert said == (
        "load: 99 shards need 99 slots, 21 are free on 7 workers "
        "(w6: 6 of 9 free, w5: 5 of 9 free, w4: 4 of 9 free, w3: 3 of 9 free and 3 more)"
    )


def test_workers_that_at_most_leaves_out_are_counted(card):
    fleet = [card("a", slots=1), card("b", slots=1), card("c", slots=1)]
    where = Where(at_most_hosts=1)
    selected = select(where, fleet, seed=1, activity="load")
    said = too_few_slots(
        replace(LOAD, where=where), 2, selected=selected, fleet=fleet, rules=ANYTHING_GOES,
        taken=Taken(dict.fromkeys("abc", 1), own=0, held_by={}),
    )  # fmt: skip
    assert said.endswith("; at_most leaves 2 workers out")


def test_load_does_not_run_on_the_host_of_its_target(card):
    apart = Rules(apart=True, leads_to={"model.test": ("10.0.0.5",)})
    there = card("a", host="Model", addresses=("10.0.0.5", "10.1.0.5"))
    for address in ("10.0.0.5:8000", "model:8000", "model.test:80", "10.1.0.5:80"):
        (said,) = misses(Where(), there, apart, loads=address)
        assert said.startswith(f"is on the host of its target {address}, ")
        assert misses(Where(), there, loads=address) == [], "only where the rules ask for it"
    for address in ("10.0.0.6:8000", "other.test:80", ""):
        assert misses(Where(), there, apart, loads=address) == []
    assert misses(Where(), card("a", host="127.0.0.1"), apart, loads="127.0.0.1:8000") == [], "loopback may"


def test_whoever_names_the_host_of_the_target_or_its_label_means_it(card):
    apart = Rules(apart=True)
    there = card("a", addresses=("10.0.0.5",), labels=("model-server",))
    for where in (Where(hosts=("host-a",)), Where(labels=("model-server",))):
        assert misses(where, there, apart, loads="10.0.0.5:8000") == []


def test_a_fault_may_run_on_the_host_of_its_target_and_a_load_is_told_why_not(card):
    apart = Rules(apart=True)
    load = replace(LOAD, address="10.0.0.5:8000")
    there, beside = card("a", addresses=("10.0.0.5",)), card("b", addresses=("10.0.0.6",))
    assert [one.worker for one in select_for(load, [there, beside], seed=1, rules=apart)] == ["b"]
    assert "which is on the host of its target 10.0.0.5:8000" in nobody_fits(load, [there], apart)
    fault = replace(load, kind="chaos", needs_engine=False)
    assert [one.worker for one in select_for(fault, [there], seed=1, rules=apart)] == ["a"]
