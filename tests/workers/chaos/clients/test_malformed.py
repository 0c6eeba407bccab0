"""Requests that are broken, as a raw server has them, and how targets answer them."""

import json

import pytest

from workers.chaos.clients.kinds import KINDS


def _is_valid(body):
    try:
        value = json.loads(body.decode())
    except (ValueError, RecursionError):
        return False
    messages = value.get("messages") if isinstance(value, dict) else None
    return isinstance(messages, list) and all(
        isinstance(value.get(key), kind)
        for key, kind in (("model", str), ("stream", bool), ("stream_options", dict), ("max_tokens", int))
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_request_of_a_kind_is_broken_and_garbage_answered_well_is_told(
    agent, make_order, make_aim, witness, until, kind
):
    server = witness("listen" if kind == "cut" else 200)
    options = {"rate": "40/s", "kinds": {kind: 1}}
    one = agent(make_order(None, fault="malformed", options=options, aim=make_aim(server.url)))
    one.until_event("verified")
    until(lambda: sum(bool(visitor.end) for visitor in server.visitors) >= 5)
    one.stop.write_text("enough")
    reverted = one.rest()[-1]
    assert reverted.took_effect
    until(lambda: server.open == 0)
    if kind == "cut":
        until(lambda: sum(bool(visitor.came) for visitor in server.visitors) >= reverted.did["cut"] > 0)
        cut = [visitor for visitor in server.visitors if visitor.came]
        assert not any(visitor.whole for visitor in cut)
        assert {visitor.end for visitor in cut} == {"fin"}
        return
    until(lambda: sum(visitor.whole for visitor in server.visitors) >= reverted.did["sent"] > 0)
    whole = [visitor for visitor in server.visitors if visitor.whole]
    assert not any(_is_valid(visitor.body) for visitor in whole)
    assert reverted.did[f"unexpected.{kind}.200"] == reverted.did["answers.200"] > 0


def test_the_demo_target_refuses_all_of_them_in_order(agent, make_order, make_aim, demo, until):
    target = demo()
    order = make_order(None, fault="malformed", for_s=1.5, options={"rate": "40/s"}, aim=make_aim(target.url))
    did = agent(order).rest()[-1].did
    assert {name for name in did if name.startswith("answers.")} <= {
        "answers.400",
        "answers.413",
        "answers.422",
    }
    assert not [name for name in did if name.startswith("unexpected.")]
    assert did["answers.400"] > 0
    until(lambda: len(target.lines("received")) >= did["sent"])


def test_kinds_that_nobody_knows_are_refused(agent, make_order, make_aim):
    options = {"rate": "1/s", "kinds": {"upside-down": 1}}
    order = make_order(None, fault="malformed", options=options, aim=make_aim("http://127.0.0.1:9"))
    (failed,) = agent(order).rest()
    assert "say some of broken-json" in failed.why
