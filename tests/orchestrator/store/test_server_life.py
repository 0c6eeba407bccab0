"""Since when a server has been running, held against when it was started."""

import time

import pytest
import redis

from orchestrator.store.server_life import began_by_s, outlive_its_first_second


@pytest.mark.parametrize("kind", ["valkey", "redis-7", "redis-6.2"])
@pytest.mark.parametrize("later_s", [0.0, 0.3, 0.6, 0.9])
def test_a_server_began_at_most_a_second_before_what_is_told_and_never_after(redis_server, kind, later_s):
    before_s = time.time()
    server = redis_server(kind=kind)
    after_s = time.time()
    time.sleep(later_s)  # the answer is the same all the time
    with redis.Redis.from_url(server.url()) as client:
        assert before_s < began_by_s(client) <= after_s + 1.0


def test_what_is_said_after_its_first_second_is_younger_than_any_server_can_seem(redis_server):
    before_s = time.time()
    with redis.Redis.from_url(redis_server().url()) as client:
        outlive_its_first_second(client, now_s=time.time())
        seconds, micros = client.time()
        assert began_by_s(client) <= seconds + micros / 1e6
        assert time.time() < before_s + 10.0
