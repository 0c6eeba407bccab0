"""An effect is held once, for its share, until it is cleared or its time is over."""

import asyncio

import pytest

from workers.chaos.network.proxy_wire import Clear, Effect, Inject, Look
from workers.chaos.processes import boot_s
from workers.proxy.hold import Hold, Holder, draw


def _effect(key="k", for_s=60.0, **more):
    return Effect(key=key, until_s=boot_s() + for_s, **more)


def test_the_same_seed_chooses_the_same_connections_and_about_its_share():
    first, second = (
        [number for number in range(10_000) if Hold(_effect(share=0.25, seed=seed)).takes(number)]
        for seed in (3, 3)
    )
    assert first == second
    assert 2300 < len(first) < 2700
    other = [number for number in range(10_000) if Hold(_effect(share=0.25, seed=4)).takes(number)]
    assert other != first


def test_all_or_none_are_chosen_by_a_whole_share_or_none():
    assert all(Hold(_effect()).takes(number) for number in range(1000))
    assert not any(Hold(_effect(share=0.0)).takes(number) for number in range(1000))


@pytest.mark.parametrize(("direction", "least_s", "most_s"), [("both", 0.05, 0.15), ("up", 0.1, 0.3)])
def test_a_delay_of_both_directions_is_half_of_it_each_way(direction, least_s, most_s):
    hold = Hold(_effect(latency_s=0.2, jitter_s=0.1, direction=direction))
    dice = draw(1, "up", 1)
    drawn = [hold.delay_s(dice) for _ in range(1000)]
    assert least_s <= min(drawn) < max(drawn) <= most_s


def test_a_second_effect_is_refused_and_the_first_may_be_said_again():
    async def story():
        told = []
        holder = Holder(told.append)
        assert holder.inject(_effect("one")) == ""
        assert holder.inject(_effect("one")) == ""
        assert "one" in holder.inject(_effect("two"))
        holder.clear("two")
        assert holder.now is not None
        holder.clear("one")
        holder.clear("one")
        assert holder.now is None
        assert [hold is None for hold in told] == [False, True]

    asyncio.run(story())


def test_an_effect_whose_time_is_over_is_refused():
    async def story():
        assert "over" in Holder(lambda _: None).inject(_effect(for_s=-1.0))

    asyncio.run(story())


def test_an_effect_ends_by_itself_when_nobody_clears_it(serving, proxy, stage_until):
    standing = proxy(serving().address)
    standing.ask(Inject(_effect(for_s=0.3, latency_s=5.0)))
    with standing.connect() as line:
        line.sendall(b"x")
        assert line.recv(1) == b"x"
    assert standing.ask(Look()).held == ""


def test_clearing_what_is_not_held_is_no_error(serving, proxy):
    standing = proxy(serving().address)
    assert standing.ask(Clear("nothing")).wrong == ""
