"""Tasks on their way into a real Valkey: each whole, in its worker's own queue, in order."""

import base64
import json

import msgspec
import pytest
import redis
from celery import Celery

from orchestrator.dispatch import TOGETHER, sender
from workers.contract.broker import names
from workers.contract.broker.connection import celery_settings
from workers.contract.signed.signing import read_keys
from workers.contract.signed.trust import check_task
from workers.contract.spec import ShardTask

KEYS = read_keys("ops=" + "k" * 64)


def task(shard: int, worker: str = "w1") -> ShardTask:
    return ShardTask(
        campaign="c-1", activity="steady", shard=shard, of=9, number=1, attempt=f"steady:{shard}:1",
        worker=worker, incarnation="one", spec_sha256="f" * 64, kind="load", expires_s=2e9,
    )  # fmt: skip


def queued(client: redis.Redis, worker: str) -> list[dict]:
    """Messages in the order in which the worker takes them."""
    return [json.loads(body) for body in reversed(client.lrange(names.queue(worker), 0, -1))]


def read(message: dict) -> ShardTask:
    (body,), _, _ = json.loads(base64.b64decode(message["body"]))
    return msgspec.convert(body, ShardTask)


def test_many_tasks_reach_their_workers_queues_whole_signed_and_in_order(shared_valkey, redis_client):
    tasks = [task(shard, worker=f"w{shard % 2}") for shard in range(2 * TOGETHER + 3)]
    sender(shared_valkey.url, KEYS)(*tasks)
    for place in (0, 1):
        found = [read(message) for message in queued(redis_client, f"w{place}")]
        assert [msgspec.structs.replace(one, signature="") for one in found] == tasks[place::2]
        for one in found:
            check_task(one, keys=KEYS, now_s=1.0)


def test_a_message_is_what_celerys_own_would_be_but_for_the_arguments_in_words(shared_valkey, redis_client):
    sender(shared_valkey.url)(task(0))
    (ours,) = queued(redis_client, "w1")
    app = Celery("shakeout", set_as_current=False)
    app.conf.update(celery_settings(shared_valkey.url), task_serializer="json")
    body = msgspec.to_builtins(task(0))
    shadow = "c-1 / steady / shard 1 of 9"
    app.send_task(
        "shakeout.load",
        args=[body],
        queue="other",
        task_id="c-1/steady:0:1",
        shadow=shadow,
        ignore_result=True,
    )
    theirs = json.loads(redis_client.lrange("other", 0, 0)[0])
    assert read(ours) == read(theirs)
    said = ours["headers"].pop("argsrepr"), ours["headers"].pop("kwargsrepr")
    assert said == ("steady:0:1", "")
    del theirs["headers"]["argsrepr"], theirs["headers"]["kwargsrepr"]
    assert ours["headers"] == theirs["headers"]
    assert ours["content-type"] == theirs["content-type"] == "application/json"
    kept = {key for key in theirs["properties"] if key not in ("delivery_tag", "reply_to", "delivery_info")}
    assert {key: ours["properties"][key] for key in kept} == {key: theirs["properties"][key] for key in kept}
    assert ours["properties"]["delivery_info"] == {"exchange": "", "routing_key": "w1.dq2"}


def test_while_redis_is_away_it_says_so_and_afterwards_it_sends_again(valkey):
    server = valkey()
    send = sender(server.url)
    send(task(0))
    server.process.kill()
    server.process.wait()
    with pytest.raises(redis.ConnectionError, match="2 tasks could not be sent"):
        send(task(1), task(2))
    server.replace()
    send(task(1), task(2))
    with server.client() as client:
        assert [read(message).shard for message in queued(client, "w1")] == [1, 2]
