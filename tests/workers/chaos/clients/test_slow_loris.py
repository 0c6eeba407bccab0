"""Connections whose request never ends, as a raw server has them."""

import time


def test_a_byte_at_a_time_comes_on_every_connection_and_no_request_ever_ends(
    agent, make_order, make_aim, witness, until
):
    server = witness("listen")
    begun_s = time.monotonic()
    options = {"connections": 20, "every": "50ms"}
    one = agent(make_order(None, fault="slow-loris", options=options, aim=make_aim(server.url)))
    one.until_event("verified")
    until(lambda: server.open == 20 and all(len(visitor.came) >= 5 for visitor in server.visitors))
    one.stop.write_text("enough")
    reverted = one.rest()[-1]
    until(lambda: server.open == 0)
    assert reverted.took_effect
    assert len(server.visitors) == reverted.did["opened"] == reverted.did["held"] == 20
    for visitor in server.visitors:
        assert visitor.came.startswith(b"POST ")
        assert b"\r\n\r\n" not in visitor.came
        lasted_s = visitor.pieces[-1][0] - begun_s
        assert len(visitor.came) <= lasted_s / 0.05 + 2
    assert sum(len(visitor.came) for visitor in server.visitors) >= reverted.did["dawdled"]


def test_a_target_that_sends_them_away_is_counted_and_visited_again(
    agent, make_order, make_aim, witness, until
):
    server = witness(408, closes_after_bytes=4)
    options = {"connections": 3, "every": "20ms"}
    one = agent(make_order(None, fault="slow-loris", options=options, aim=make_aim(server.url)))
    one.until_event("verified")
    until(lambda: len(server.visitors) > 3)
    one.stop.write_text("enough")
    did = one.rest()[-1].did
    assert did["closed_by_target"] >= 3
    assert did["answers.408"] >= 3
    assert "sent" not in did
