"""The rate ceiling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.contract.errors import EngineError
from workers.contract.schedule import ClosedArrivals, OpenArrivals, Segment
from workers.contract.spec import FileRef, LoadSpec, ShardTask, TargetSpec
from workers.engine.ceiling import (
    BURST_S,
    LOOP_BURST_S,
    TARGETS,
    WORKERS,
    Ceiling,
    ceiling_of,
    limit_of,
    lowest,
)  # fmt: skip

SECOND = 10**9
OPEN = OpenArrivals("constant", (Segment(0.0, 1.0, 8.0, 8.0),), 1, "x")
TASK = ShardTask("c-1", "load", 0, 4, 1, "load:0:1", "w", "one", "0" * 64, "load", 0.0)


@given(st.floats(0.05, 1000), st.lists(st.integers(0, SECOND), max_size=200))
def test_no_span_admits_more_than_the_ceiling_and_one_burst(per_s, gaps):
    ceiling, now, taken = Ceiling(per_s), 0, 0
    for gap in gaps:
        now += gap
        taken += ceiling.admits(now)
    assert taken <= per_s * now / SECOND + max(BURST_S * per_s, 1) + 1


def test_after_the_wait_it_names_there_is_room():
    ceiling = Ceiling(2.0)
    assert sum(ceiling.admits(0) for _ in range(100)) == 20
    assert ceiling.wait_ns(0) == SECOND // 2
    assert not ceiling.admits(SECOND // 2 - 1)
    assert ceiling.admits(SECOND // 2)


def test_without_a_ceiling_everything_is_admitted():
    ceiling = Ceiling(None)
    assert all(ceiling.admits(0) for _ in range(1000))
    assert ceiling.wait_ns(0) == 0


def spec(*, arrivals=OPEN, limit=None, code=None):
    target = TargetSpec("chat", "json-http", "http://chat.test", {}, 5.0, rate_limit_per_s=limit)
    return LoadSpec(
        "c-1", "p", "load", "load", target, arrivals, 0.0, 8, None, (), (), 1, 2.0, locustfile=code
    )


def test_each_shard_has_its_part_of_the_ceiling_and_the_workers_own_limit_if_that_is_lower():
    assert ceiling_of(spec(limit=100.0), TASK, None).per_s == 25.0
    assert ceiling_of(spec(), TASK, None).per_s is None
    low = ceiling_of(spec(limit=100.0), TASK, 7.0)
    assert (low.per_s, low.whose) == (7.0, WORKERS)
    assert ceiling_of(spec(limit=100.0), TASK, 26.0).whose == TARGETS
    assert ceiling_of(spec(), TASK, 7.0).per_s == 7.0


def test_who_waits_for_answers_gets_no_burst_that_arrivals_by_chance_would_need():
    assert ceiling_of(spec(limit=8.0), TASK, None).burst_s == BURST_S
    closed = spec(arrivals=ClosedArrivals(8, 0.0, 1.0), limit=40.0)
    assert ceiling_of(closed, TASK, None).burst_s == LOOP_BURST_S
    once = lowest(10.0, None, scheduled=False)
    assert sum(once.admits(0) for _ in range(100)) == 1


def test_users_code_is_not_run_where_the_worker_has_a_limit_that_it_could_not_be_held_to():
    code = spec(arrivals=ClosedArrivals(8, 0.0, 1.0), code=FileRef("0" * 64, 1, "users.py"))
    with pytest.raises(EngineError, match="users of a locustfile cannot be held to it"):
        ceiling_of(code, TASK, 7.0)
    assert ceiling_of(code, TASK, None).per_s is None


def test_a_limit_finds_its_target_by_name_and_by_address_and_a_name_that_leads_nowhere_gets_the_lowest():
    limits = {"chat.test:80": 20.0, "10.0.0.5:80": 5.0, "10.0.0.6:80": 2.0, "10.0.0.5:81": 1.0}
    assert limit_of("chat.test:80", ["10.0.0.9"], limits) == 20.0
    assert limit_of("chat.test:80", ["10.0.0.9", "10.0.0.5"], limits) == 5.0
    assert limit_of("other.test:80", ["10.0.0.9"], limits) is None
    assert limit_of("other.test:80", [], limits) == 2.0
    assert limit_of("other.test:82", [], limits) is None
