"""What clients share: whose requests they are, the ceiling, what is counted."""

import asyncio

import pytest

from workers.chaos.clients.admission import MOST_AT_ONCE
from workers.chaos.clients.client import Client, fits
from workers.chaos.clients.order import Order, Wants
from workers.chaos.clients.tally import Tally, read


@pytest.fixture
def make_client(make_aim, tmp_path):
    def make(url="http://127.0.0.1:9", *, answers=(), **changes):
        order = Order("burst", {}, make_aim(url, **changes), seed=5)
        return Client(order, Tally(tmp_path / "tally"), Wants(answers=answers))

    return make


def test_requests_are_numbered_as_engines_do(make_client):
    client = make_client(first=1000, shard=2, of=3, number=4)
    assert [client.index() for _ in range(3)] == [1002, 1005, 1008]
    request = client.requests.of(1002)
    head, _, body = client.message(request, 1002).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/chat/completions HTTP/1.1"
    assert {"host: 127.0.0.1:9", "x-shakeout-id: storm/1002/4", "connection: close"} < set(lines)
    assert f"content-length: {len(body)}" in lines
    assert body == request.body


def test_an_id_is_left_out_where_the_target_is_not_to_know(make_client):
    client = make_client(id_header=False)
    head = client.head(client.requests.of(0), 0, length=None)
    assert b"x-shakeout-id" not in head
    assert b"traceparent: 00-" in head
    assert b"content-length" not in head


def test_past_the_ceiling_nothing_is_sent_and_that_is_counted(make_client, tmp_path):
    client = make_client(per_s=1.0)
    assert [client.admitted() for _ in range(12)].count(True) == 10, "a bunch of 10 s may come at once"
    assert read(tmp_path / "tally")["withheld.ceiling"] == 2


def test_what_is_begun_at_one_moment_counts_against_the_limit_of_connections(make_client, tmp_path):
    client = make_client()

    async def hangs(_):
        await asyncio.sleep(60)

    async def burst():
        async with asyncio.TaskGroup() as group:
            begun = [client.begin(hangs, group=group) for _ in range(MOST_AT_ONCE + 3)]
            for task in filter(None, begun):
                task.cancel()
        assert begun.count(None) == 3
        assert client.admitted(), "those that have ended leave room"

    asyncio.run(burst())
    assert read(tmp_path / "tally") == {"withheld.connections": 3}


def test_answers_are_counted_by_status_and_again_where_none_is_documented(make_client, tmp_path):
    client = make_client(answers=("400", "5xx"))
    for status in (400, 503, 404, 404):
        client.took(status, of="empty")
    found = read(tmp_path / "tally")
    assert found == {"answers.400": 1, "answers.503": 1, "answers.404": 2, "unexpected.empty.404": 2}


def test_what_goes_wrong_with_a_visit_is_counted_and_what_is_our_mistake_is_not_hidden(make_client, tmp_path):
    client = make_client(timeout_s=0.05)

    async def hangs(_):
        await asyncio.sleep(60)

    async def refused(index):
        await client.ask(client.requests.of(index), index)

    async def mistaken(_):
        raise KeyError("ours")

    asyncio.run(client.visit(hangs, 0))
    asyncio.run(client.visit(refused, 1))
    with pytest.raises(KeyError):
        asyncio.run(client.visit(mistaken, 2))
    assert read(tmp_path / "tally") == {"failed.timeout": 1, "failed.connect": 1}


def test_visits_begin_on_time_however_long_the_others_take(make_client):
    client = make_client()
    begun = []

    async def hangs(index):
        begun.append(index)
        if len(begun) == 20:
            raise KeyError("enough")
        await asyncio.sleep(60)

    with pytest.raises(ExceptionGroup):
        asyncio.run(client.paced(hangs, per_s=100.0))
    assert begun == list(range(20))


@pytest.mark.parametrize(
    ("pattern", "fitting"), [("404", True), ("4xx", True), ("400", False), ("2xx", False)]
)
def test_a_status_fits_itself_and_its_class(pattern, fitting):
    assert fits(404, pattern) is fitting
