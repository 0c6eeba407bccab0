"""What `status` says of a Redis that answers and is not well."""

import pytest

from orchestrator.overview.broker_state import broker_trouble


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({}, ""),
        ({"used_memory": 50, "maxmemory": 0}, ""),
        ({"used_memory": 50, "maxmemory": 100, "role": "master", "aof_last_write_status": "ok"}, ""),
        ({"used_memory": 85 * 2**20, "maxmemory": 100 * 2**20}, "almost full, 85.0 of 100.0 MiB used"),
        ({"used_memory": 100, "maxmemory": 100}, "its memory is full (maxmemory)"),
        ({"aof_last_write_status": "err"}, "cannot save to its disk"),
        ({"role": "slave"}, "it is a replica"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(info, words):
    said = broker_trouble(info)
    assert words in said
    assert bool(said) == bool(words)
