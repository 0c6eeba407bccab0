"""What a worker's own log says where the leader is of another version than the worker."""

import json

import pytest

from workers.contract.broker import names
from workers.fleet.versions import Versions


@pytest.fixture
def lead(redis_client):
    """Lets a coordinator of a version lead."""

    def now(version, nonce="n1", **more):
        redis_client.hset(names.LEADER, mapping={"epoch": "1", "nonce": nonce})
        card = {"host": "north", "pid": 7, "version": version, **more}
        redis_client.hset(names.COORDINATORS, nonce, json.dumps(card))

    return now


def test_a_leader_of_another_version_is_told_of_once_and_so_is_the_next(redis_client, lead, caplog):
    versions = Versions("1.2", every_s=0)
    versions.look(redis_client)
    lead("1.2")
    versions.look(redis_client)
    assert caplog.messages == []
    lead("1.3", nonce="n2", what_nobody_knows_here=[1])
    versions.look(redis_client)
    versions.look(redis_client)
    (said,) = caplog.messages
    assert said == (
        "the coordinator on host north (pid 7) is version 1.3, this worker 1.2: it gets no work from it; "
        "install version 1.3 here and start it again"
    )
    lead("1.2", nonce="n3")
    versions.look(redis_client)
    versions.look(redis_client)
    assert caplog.messages[1:] == [
        "the coordinator on host north (pid 7) is version 1.2, as is this worker: it gets work again"
    ]


@pytest.mark.parametrize("card", ["", "{", "[1]", '{"version": 3}'])
def test_a_card_that_cannot_be_read_says_nothing(redis_client, lead, caplog, card):
    lead("1.3")
    redis_client.hset(names.COORDINATORS, "n1", card)
    Versions("1.2", every_s=0).look(redis_client)
    assert caplog.messages == []
