"""One address for redis-py and for Celery."""

import time

import pytest
import redis

from workers.contract import broker
from workers.contract.errors import ContractError


def test_a_client_gives_up_within_about_a_second_while_the_server_hangs(valkey):
    server = valkey()
    with broker.client(server.url) as client:
        assert client.ping()
        server.pause()
        before_s = time.monotonic()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        assert time.monotonic() - before_s < 3 * broker.TIMEOUT_S
        server.resume()
        assert client.ping()


def test_sentinels_become_a_list_for_celery_and_a_primary_for_clients():
    url = "sentinel://u:p%40ss@s1:26379,s2/fleet/3"
    place = broker.sentinels(url)
    assert place.hosts == (("s1", 26379), ("s2", 26379))
    assert (place.master, place.db, place.username, place.password) == ("fleet", 3, "u", "p@ss")
    told = broker.celery_settings(url)
    assert told["broker_url"] == "sentinel://u:p%40ss@s1:26379/3;sentinel://u:p%40ss@s2:26379/3"
    assert told["broker_transport_options"]["master_name"] == "fleet"


@pytest.mark.parametrize("url", ["sentinel://s1:26379", "sentinel://s1:x/fleet", "http://:secret@x"])
def test_an_address_that_cannot_be_read_is_said_without_its_password(url):
    with pytest.raises(ContractError) as refused:
        broker.client(url)
    assert "secret" not in str(refused.value)
