"""One address for redis-py and for Celery."""

import time

import pytest
import redis

from workers.contract.broker import connection, names
from workers.contract.errors import ContractError


def test_a_client_gives_up_within_about_a_second_while_the_server_hangs(valkey):
    server = valkey()
    with connection.client(server.url) as client:
        assert client.ping()
        server.pause()
        before_s = time.monotonic()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        assert time.monotonic() - before_s < 3 * connection.TIMEOUT_S
        server.resume()
        assert client.ping()


def test_sentinels_become_a_list_for_celery_and_a_primary_for_clients():
    url = "sentinel://u:p%40ss@s1:26380,s2,[::1]/fleet/3?sentinel_password=s%26p"
    place = connection.read_address(url)
    assert place.hosts == (("s1", 26380), ("s2", 26379), ("::1", 26379))
    assert (place.master, place.db, place.username, place.password) == ("fleet", 3, "u", "p@ss")
    told = connection.celery_settings(url)
    login = "sentinel://u:p%40ss@"
    assert told["broker_url"] == f"{login}s1:26380/3;{login}s2:26379/3;{login}[::1]:26379/3"
    assert told["broker_transport_options"]["master_name"] == "fleet"
    assert told["broker_transport_options"]["sentinel_kwargs"]["password"] == "s&p"
    assert "broker_use_ssl" not in told


def test_tls_is_told_to_both_alike_and_checks_the_name_unless_told_not_to(tmp_path):
    ca = tmp_path / "ca.pem"
    ca.touch()
    url = f"rediss://:pw@h/1?ssl_ca_certs={ca}"
    told = connection.celery_settings(url)
    expected = {"ssl_cert_reqs": "required", "ssl_ca_certs": str(ca), "ssl_check_hostname": True}
    assert told["broker_use_ssl"] == expected == connection.read_address(url).tls
    assert told["broker_url"] == "rediss://:pw@h:6379/1"
    assert connection.read_address("rediss://h?ssl_check_hostname=False").tls["ssl_check_hostname"] is False
    assert connection.read_address("rediss://h?ssl_cert_reqs=none").tls["ssl_check_hostname"] is False
    sentinel = connection.celery_settings(f"sentinel://h/fleet?ssl=true&ssl_ca_certs={ca}")
    assert sentinel["broker_use_ssl"] == expected
    assert sentinel["broker_transport_options"]["sentinel_kwargs"]["ssl_ca_certs"] == str(ca)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("h:6379", "begins with none of redis://"),
        ("http://:secret@x", "begins with none of redis://"),
        ("", "begins with none of redis://"),
        ("sentinel://s1:26379", "incomplete"),
        ("sentinel://:secret@/fleet", "incomplete"),
        ("sentinel://s1:x/fleet", "'s1:x' is no HOST:PORT"),
        ("redis://:secret@h:99999/0", "'h:99999' is no HOST:PORT"),
        ("redis://:secret@a,b/0", "several servers"),
        ("redis://:secret@h/abc", "'abc' is no number of a database"),
        ("redis://:secret@h/0?ssl_ca_certs=x", "takes no options (TLS is rediss://)"),
        ("rediss://:secret@h/0?ssl_ca_certs=/no/such", "ssl_ca_certs: there is no file /no/such"),
        ("rediss://:secret@h/0?ssl_keyfile=/dev/null", "there is no file /dev/null"),
        ("rediss://:secret@h/0?ssl_cert_reqs=maybe", "one of none, optional, required"),
        ("rediss://:secret@h/0?ssl_check_hostname=perhaps", "true or false, not 'perhaps'"),
        ("rediss://:secret@h/0?sentinel_password=secret", "it has the option sentinel_password"),
        ("sentinel://h/fleet?ssl_cert_reqs=none&sentinel_password=secret", "add ssl=true"),
        ("unix://", "names no socket"),
    ],
)
def test_an_address_that_cannot_be_read_is_said_without_its_password(url, why):
    for read in (connection.client, connection.celery_settings):
        with pytest.raises(ContractError) as refused:
            read(url)
        assert why in str(refused.value)
        assert "secret" not in str(refused.value)


def test_celery_finds_out_within_a_claims_time_that_its_connection_is_dead():
    looks_every_s = connection.celery_settings("redis://h")["broker_transport_options"][
        "health_check_interval"
    ]
    assert 1 + 2 * looks_every_s < names.CLAIM_WITHIN_S, "its blocking read lasts a second"


def test_a_key_without_its_certificate_is_refused(tmp_path):
    key = tmp_path / "key.pem"
    key.touch()
    with pytest.raises(ContractError, match="ssl_keyfile needs ssl_certfile"):
        connection.client(f"rediss://h?ssl_keyfile={key}")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://ada:secret@h:6379/0", "redis://h:6379/0"),
        ("redis://h/0?sentinel_password=secret", "redis://h/0"),
        ("s3://bucket/file?token=secret", "s3://bucket/file"),
        ("redis://:secret?secret@h/0", "redis://..."),
        ("sentinel://h/fleet?sentinel_password=sec@secret", "sentinel://..."),
        ("https://h/file?mail=ada@h&token=secret", "https://..."),
        ("runs/of@mine", "runs/of@mine"),
    ],
)
def test_an_address_is_shown_without_anything_that_may_be_secret(url, shown):
    assert connection.masked(url) == shown


def test_an_address_that_was_read_never_shows_its_passwords():
    assert "secret" not in repr(connection.read_address("sentinel://u:secret@h/m?sentinel_password=secret"))
