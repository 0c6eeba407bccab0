"""The way to Redis, against real servers that are killed and replaced under it."""

import pytest
import redis

from workers.fleet.way import Way


def test_another_server_is_looked_at_before_anything_is_sent_to_it(valkey):
    server = valkey()
    met = []
    way = Way(server.url, changed=lambda client: met.append(client.dbsize()))
    way.look()
    way.client.set("sent", "1")
    way.look()
    assert met == []
    server.replace()
    with pytest.raises(redis.ConnectionError):
        way.client.set("sent", "2")  # redis-py would connect again by itself
    way.lost()
    with pytest.raises(redis.ConnectionError):
        way.client.set("sent", "2")
    way.look()
    assert met == [0]
    way.client.set("sent", "2")
    way.leave()
    way.look()
    assert met == [0], "it is the same server"
    way.client.close()


def test_what_is_to_be_done_first_on_another_server_is_done_again_where_it_failed(valkey):
    server = valkey()
    tries = []

    def begin(client: redis.Redis) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise redis.ConnectionError("gone again")

    way = Way(server.url, changed=begin)
    way.look()
    server.replace()
    way.leave()
    with pytest.raises(redis.ConnectionError, match="gone again"):
        way.look()
    way.look()
    assert len(tries) == 2
    way.client.close()
