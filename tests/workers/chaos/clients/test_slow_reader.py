"""Clients that read slowly, as a raw server that sends as fast as it can has them."""

import time


def test_a_flood_is_read_at_the_rate_and_the_server_is_held_up(agent, make_order, make_aim, witness, until):
    server = witness("flood", send_buffer_bytes=16384)
    options = {"connections": 3, "rate": "2kB/s"}
    one = agent(make_order(None, fault="slow-reader", options=options, aim=make_aim(server.url)))
    begun_s = time.monotonic()
    one.until_event("verified")
    until(lambda: server.open == 3 and time.monotonic() - begun_s > 2.0)
    one.stop.write_text("enough")
    lasted_s = time.monotonic() - begun_s
    reverted = one.rest()[-1]
    assert reverted.took_effect
    assert 0 < reverted.did["bytes_read"] <= 3 * 2000 * (lasted_s + 3)
    until(lambda: server.open == 0)
    for visitor in server.visitors:
        assert visitor.whole
        assert visitor.sent_bytes < 500_000, "a client that reads as it can takes that in a millisecond"
    assert reverted.did["held"] == 3
    assert reverted.did["sent"] == len(server.visitors) == 3
