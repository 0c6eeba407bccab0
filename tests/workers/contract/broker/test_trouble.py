"""What real servers answer, explained: Valkey 9, Redis 7.0 and 6.2 each in their own words."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import redis

from workers.contract.broker import connection
from workers.contract.broker.trouble import explain, is_known, is_lasting, is_spoilt, what_and_do

SCRIPT = "return redis.call('XADD', KEYS[1], '*', 'a', 'b')"


def said(url: str, ask: Callable[[redis.Redis], object]) -> tuple[str, bool]:
    """What is explained of the error of a call, and whether it lasts; no password is in it."""
    with connection.client(url) as client, pytest.raises((redis.RedisError, OSError)) as raised:
        ask(client)
    words = explain(raised.value, url)
    assert "sesame" not in words
    assert is_known(raised.value)
    assert all(what_and_do(raised.value, url)), words
    return words, is_lasting(raised.value)


def test_logins_that_fail_say_which_user_and_that_it_lasts(redis_server, kind_of_server):
    server = redis_server("requirepass sesame", "user ada on >sesame +@all ~*", kind=kind_of_server)
    cases = {
        server.url(): "it wants a password and the address has none: write redis://USER:PASSWORD@HOST",
        server.url(":wrong"): "the password of the default user is wrong",
        server.url("ada:wrong"): "the password of user ada is wrong",
        server.url("bob:sesame"): "the password of user bob is wrong, or there is no such user",
    }
    for url, expected in cases.items():
        words, lasts = said(url, redis.Redis.ping)
        assert expected in words
        assert lasts
    assert "no database 99" in said(f"{server.url(':sesame')[:-1]}99", redis.Redis.ping)[0]


def test_what_an_acl_forbids_is_named_with_the_line_that_allows_it(redis_server, kind_of_server):
    acl = "user ada on >sesame ~shakeout:* resetchannels +@all -xadd -config"
    server = redis_server("requirepass sesame", acl, kind=kind_of_server)
    url = server.url("ada:sesame")
    words, lasts = said(url, lambda client: client.xadd("shakeout:inbox", {"a": "b"}))
    assert "user ada may not run xadd: " in words
    assert "ACL SETUSER ada +xadd" in words
    assert lasts
    words, lasts = said(url, lambda client: client.get("foreign"))
    assert "user ada may not use one of the keys" in words
    assert "ACL SETUSER ada ~shakeout:*" in words
    assert lasts
    words, lasts = said(url, lambda client: client.publish("/0.shakeout.events/worker.online", "x"))
    assert "user ada may not publish Celery's events" in words
    assert "ACL SETUSER ada &/0.shakeout.events/*" in words
    assert lasts
    for ask in (
        lambda client: client.eval(SCRIPT, 1, "shakeout:inbox"),
        lambda client: client.eval(SCRIPT.replace("call", "pcall"), 1, "shakeout:inbox"),
    ):
        words, lasts = said(url, ask)
        assert "user ada may not run" in words
        assert "+xadd" in words or "`shakeout doctor` names it" in words
        assert lasts


def test_a_replica_and_a_full_server_are_told_apart_and_may_heal(redis_server, kind_of_server):
    server = redis_server(kind=kind_of_server)
    with server_client(server) as client:
        client.replicaof("127.0.0.1", 1)  # type: ignore[no-untyped-call]
        for ask in (
            lambda client: client.set("a", "b"),
            lambda client: client.eval(SCRIPT, 1, "shakeout:inbox"),
        ):
            words, lasts = said(server.url(), ask)
            assert "it is a replica and takes no writes" in words
            assert "sentinel://" in words
            assert not lasts
        client.replicaof("NO", "ONE")  # type: ignore[no-untyped-call]
        client.config_set("maxmemory", "1mb")
        words, lasts = said(
            server.url(), lambda client: [client.set(f"k{n}", "x" * 10**5) for n in range(30)]
        )
        assert "its memory is full (maxmemory)" in words
        assert not lasts


def test_a_disk_that_takes_no_writes_is_said(redis_server, tmp_path):
    server = redis_server("save 3600 1000000", "stop-writes-on-bgsave-error yes", "rdbcompression no")
    with server_client(server) as client:
        (server.folder / "dump.rdb").mkdir()  # a rename onto a folder fails, for root too
        client.set("a", "b")
        client.bgsave()
        deadline = threading.Event()
        for _ in range(500):
            if client.info("persistence")["rdb_last_bgsave_status"] == "err":
                break
            deadline.wait(0.02)
        words, lasts = said(server.url(), lambda client: client.set("a", "b"))
    assert "cannot save to its disk" in words
    assert not lasts


def test_a_command_that_the_server_does_not_know_means_that_it_is_too_old(redis_server, kind_of_server):
    server = redis_server(kind=kind_of_server)
    for ask in (
        lambda client: client.execute_command("NOSUCH", "a"),
        lambda client: client.eval("return redis.call('NOSUCH')", 0),
    ):
        words, lasts = said(server.url(), ask)
        assert "needs Redis 6.2 or newer" in words
        assert lasts


def test_nobody_there_and_a_name_that_is_none_may_heal(tmp_path):
    cases = {
        "redis://:sesame@127.0.0.1:1/0": "nothing listens there",
        "redis://:sesame@no-such-host.invalid/0": "the host name no-such-host.invalid does not resolve",
        f"unix://:sesame@{tmp_path}/no.sock": "there is no such socket",
        "sentinel://:sesame@127.0.0.1:1/fleet?sentinel_password=sesame": "no Sentinel that can be reached",
    }
    for url, expected in cases.items():
        words, lasts = said(url, redis.Redis.ping)
        assert expected in words
        assert not lasts


@pytest.fixture
def foreign() -> Iterator[Callable[[bytes | None], int]]:
    """A port at which something answers with these bytes (None: says nothing at all)."""
    listening: list[socket.socket] = []
    answered: list[socket.socket] = []

    def serve(answer: bytes | None) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listening.append(listener)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                answered.append(connection)
                if answer is not None:
                    connection.recv(1000)
                    connection.sendall(answer)

        threading.Thread(target=accept, daemon=True).start()
        return int(listener.getsockname()[1])

    yield serve
    for one in (*listening, *answered):
        one.close()


def test_something_else_at_that_port_is_told_from_something_that_hangs(foreign):
    web = foreign(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert "what answers there is no Redis" in said(f"redis://:sesame@127.0.0.1:{web}/0", redis.Redis.ping)[0]
    mute = foreign(None)
    assert "no answer within 1 s" in said(f"redis://:sesame@127.0.0.1:{mute}/0", redis.Redis.ping)[0]


def test_tls_that_fails_says_which_part_of_it(redis_server, authority, tls_lines):
    here = redis_server(*tls_lines(), "requirepass sesame", kind="redis-7")
    there = redis_server(*tls_lines("there"), "requirepass sesame", kind="redis-7")
    mutual = redis_server(*tls_lines(clients="yes"), "requirepass sesame", kind="redis-7")
    plain = redis_server("requirepass sesame")
    trusts = f"?ssl_ca_certs={authority['ca']}"
    cases = {
        here.url(":sesame"): ("say rediss://", False),
        plain.url(":sesame", scheme="rediss"): ("without TLS say redis://", False),
        here.url(":sesame", scheme="rediss"): ("add ?ssl_ca_certs=FILE", True),
        here.url(":sesame", scheme="rediss", more=f"?ssl_ca_certs={authority['other']}"): (
            "an authority that this host does not know", True,
        ),
        here.url(":sesame", scheme="rediss", more=f"?ssl_ca_certs={authority['here-key']}"): (
            "no certificate or key in PEM form", True,
        ),
        there.url(":sesame", scheme="rediss", more=trusts): ("is for another name than 127.0.0.1", True),
        mutual.url(":sesame", scheme="rediss", more=trusts): ("?ssl_certfile=FILE&ssl_keyfile=FILE", False),
    }  # fmt: skip
    for url, (expected, lasting) in cases.items():
        words, lasts = said(url, redis.Redis.ping)
        assert expected in words
        assert lasts == lasting, words
    own = f"&ssl_certfile={authority['here']}&ssl_keyfile={authority['here-key']}"
    for url in (
        here.url(":sesame", scheme="rediss", more=trusts),
        there.url(":sesame", scheme="rediss", more=f"{trusts}&ssl_check_hostname=false"),
        mutual.url(":sesame", scheme="rediss", more=trusts + own),
    ):
        with connection.client(url) as client:
            assert client.ping()


def test_sentinels_with_a_password_or_without_that_primary_are_told_apart(redis_server):
    server = redis_server("requirepass sesame", flags=("--sentinel",))
    words, lasts = said(f"sentinel://127.0.0.1:{server.port}/fleet", redis.Redis.ping)
    assert "add ?sentinel_password=PASSWORD" in words
    assert lasts
    url = f"sentinel://127.0.0.1:{server.port}/fleet?sentinel_password=sesame"
    words, lasts = said(url, redis.Redis.ping)
    assert "the Sentinels name no healthy primary called fleet" in words
    assert not lasts


def test_a_key_that_holds_something_else_is_said_and_told_from_a_server_that_is_away(redis_server):
    def spoilt(client: redis.Redis) -> object:
        client.set("shakeout:inbox", "text")
        return client.eval(SCRIPT, 1, "shakeout:inbox")

    server = redis_server()
    words, lasts = said(server.url(), spoilt)
    assert "a key of Shakeout's holds what Shakeout never puts there: " in words
    assert not lasts
    assert is_spoilt(redis.ResponseError("WRONGTYPE Operation against a key"))
    assert not is_spoilt(redis.ConnectionError("Error 111"))


def test_an_error_that_no_rule_knows_is_passed_on_shortened():
    error = redis.ResponseError("STRANGE " + "x" * 1000)
    assert not is_known(error)
    assert explain(error, "redis://:sesame@h/0").startswith("Redis at redis://h/0: STRANGE xx")
    assert len(explain(error, "")) < 400


def server_client(server) -> redis.Redis:
    return redis.Redis.from_url(server.url(), socket_timeout=5)
