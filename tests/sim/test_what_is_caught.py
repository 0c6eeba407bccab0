"""The simulation can fail: with one rule of the product taken out, a few dozen seeds that try it find it."""

from contextlib import ExitStack
from unittest.mock import patch

import pytest
from simulated import twins
from simulated.data import Data
from simulated.engine import Engine
from simulated.simulation import simulate

import orchestrator.coordinator.coordinator
import orchestrator.decide.decide
import orchestrator.decide.losses
import orchestrator.store.store
from orchestrator.decide.handover import free_from_s

SEEDS = 80
CUT = {"theme": ("stop_worker", "cut"), "most": 6, "shapes": ("long-fence",)}
CLOCKS = {"theme": ("stop_worker", "cut"), "most": 5, "shapes": ("load-1",), "uncertainty_s": 0.4}
DRAINS = {"theme": ("drain", "slow"), "most": 8, "shapes": ("long-fence",), "workers": 4}
RESTARTS = {"theme": ("restart", "cut", "stop_worker"), "most": 9, "shapes": ("long-fence",)}
FAILOVERS = {"theme": ("fail_over", "kill_coordinator", "cut"), "most": 9, "shapes": ("load-1",)}
POWER = {"theme": ("lose_power", "kill_engine"), "most": 5, "shapes": ("load-1",)}
GATES = {"theme": ("kill_coordinator", "fail_over", "stop_worker"), "most": 5, "shapes": ("gated",)}
PROXIES = {"theme": ("kill_worker", "kill_coordinator", "fail_over"), "most": 4, "shapes": ("proxied",)}
LEADERS = {
    "theme": ("stalls_of_coordinators", "kill_engine", "stop_coordinator"),
    "most": 9,
    "shapes": ("two-phases",),
}


def _free_without_promise(state, attempt):
    """As if the leader's word alone bound the old attempt."""
    told = [one for one in state.attempts.values() if one.until_s is not None and not one.yielded]
    for one in told:
        if one.live and state.last_attempt(one.activity, one.shard) is attempt:
            return one.until_s
    return free_from_s(state, attempt)


def _sends_on(engine, advance=Engine.advance):
    """As if an engine did not look at its own fence."""
    authorised_mono = engine.authorised_mono
    if authorised_mono:
        engine.authorised_mono = float("inf")
    advance(engine)
    engine.authorised_mono = authorised_mono


def _renew_whatever(data, keys, args):
    now_ms = int(data.clock() * 1000)
    for attempt in args:
        data.hset(keys[0], attempt, now_ms)
    return [now_ms] * len(args)


def _claim_whatever(data, keys, args):
    data.hset(keys[0], args[0], args[1])
    return 1


def _append_whatever(data, keys, args):
    return [data.xadd(keys[1], {"f": body}) for body in args[4::2]]


def _script(name, does):
    return patch.dict(twins.TWINS, {name: does})


RULES = {
    "a margin for clocks follows the fence": (
        CLOCKS, [patch.object(orchestrator.decide.losses, "FENCE_MARGIN_S", 0.0)],
    ),
    "a lease is taken away before its attempt is called lost": (
        CUT,
        [
            patch.object(orchestrator.store.store.Store, "revoke_seen", lambda *_, **__: True),
            patch.object(orchestrator.decide.decide, "revocations", lambda _: ()),
        ],
    ),
    "a lease that was taken away is not renewed": (CUT, [_script("RENEW", _renew_whatever)]),
    "an attempt is claimed once": (RESTARTS, [_script("CLAIM", _claim_whatever)]),
    "a successor waits for the fence": (
        CUT, [patch.object(orchestrator.decide.decide, "free_from_s", lambda *_: 0.0)],
    ),
    "an engine is silent past its fence": (
        {**CUT, "shapes": ("load-1",)},
        [patch.object(Engine, "advance", _sends_on), patch.object(Engine, "_look_at_fence", lambda _: None)],
    ),
    "a hand-over waits for the promise": (
        DRAINS, [patch.object(orchestrator.decide.decide, "free_from_s", _free_without_promise)],
    ),
    "who remembers nothing waits for whoever may work": (
        POWER, [patch.object(orchestrator.coordinator.coordinator, "settles_s", lambda *_: 0.0)],
    ),
    "what nobody told an engine to do ends its campaign": (
        POWER, [patch.object(orchestrator.decide.decide, "torn", lambda *_: "")],
    ),
    "a replica has what is acted upon": (FAILOVERS, [patch.object(Data, "wait", lambda *_: 1)]),
    "a gate waits for a person": (
        GATES, [patch.object(orchestrator.decide.decide, "at_gate", lambda *_: None)],
    ),
    "a phase waits for its proxies": (
        PROXIES,
        [
            patch.object(orchestrator.decide.decide, "missing_proxies", lambda *_: []),
            patch.object(orchestrator.decide.decide, "proxy_orders", lambda *_: ()),
        ],
    ),
    "only the leader decides": (LEADERS, [_script("LEAD_APPEND", _append_whatever)]),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_without_this_rule_seeds_break(rule):
    given, mutations = RULES[rule]
    with ExitStack() as stack:
        stack.callback(twins.twin_of.cache_clear)
        for mutation in mutations:
            stack.enter_context(mutation)
        twins.twin_of.cache_clear()
        assert any(simulate(seed, **given).why for seed in range(SEEDS)), "nobody noticed"


@pytest.mark.parametrize("rule", RULES)
def test_with_it_the_same_seeds_hold(lived_well, rule):
    given, _ = RULES[rule]
    lived_well(range(12), **given)
