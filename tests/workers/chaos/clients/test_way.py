"""The way to a target: which of a name's addresses may be connected to."""

import asyncio

import pytest

from workers.chaos.aim import AimTls
from workers.chaos.clients.way import Way
from workers.contract.errors import FaultError, TargetRefusedError


def test_a_name_that_leads_off_the_list_is_refused_where_it_is_connected_to(make_aim, monkeypatch):
    way = Way(make_aim("http://target.test:80"), allow_targets=["10.0.0.0/8"])

    async def addresses(*found):
        async def resolved(*_, **__):
            return [(2, 1, 6, "", (address, 80)) for address in found]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)
        return await way.addresses()

    with pytest.raises(TargetRefusedError, match=r"target\.test:80 \(192\.0\.2\.1\) is not on"):
        asyncio.run(addresses("192.0.2.1"))
    assert asyncio.run(addresses("192.0.2.1", "10.1.2.3")) == ["10.1.2.3"]


def test_many_who_come_at_once_look_a_name_up_once(make_aim, monkeypatch):
    way = Way(make_aim("http://localhost:80"), allow_targets=[])
    looked_up = []

    async def all_at_once():
        async def resolved(*_, **__):
            looked_up.append(1)
            await asyncio.sleep(0.05)
            return [(2, 1, 6, "", ("127.0.0.1", 80))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)
        return await asyncio.gather(*(way.addresses() for _ in range(100)))

    assert asyncio.run(all_at_once()) == [["127.0.0.1"]] * 100
    assert len(looked_up) == 1


def test_the_first_address_that_takes_a_connection_is_used(make_aim, witness, monkeypatch, until):
    server = witness("listen")
    way = Way(make_aim(server.url.replace("127.0.0.1", "target.test")), allow_targets=["target.test"])

    async def connect():
        async def resolved(*_, **__):
            return [(2, 1, 6, "", (address, server.port)) for address in ("127.0.0.9", "127.0.0.1")]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)
        line = await way.connect()
        await line.send(b"x")
        line.leave()

    asyncio.run(connect())
    until(lambda: len(server.visitors) == 1)
    assert way.authority == f"target.test:{server.port}"


def test_tls_files_that_cannot_be_used_are_said(make_aim, tmp_path):
    with pytest.raises(FaultError, match="cannot use the tls files of target chat"):
        Way(make_aim("https://localhost:1", tls=AimTls(ca=str(tmp_path / "none.pem"))), allow_targets=[])
