"""Names, addresses and CIDRs as the packets that they mean."""

import ipaddress

import pytest

from workers.chaos.network.peers import MOST_NETWORKS, Wanted, select
from workers.contract.errors import FaultError

REDIS = ("192.0.2.9:6379",)


def test_hosts_become_networks_of_their_family_each_once():
    chosen = select(
        Wanted(hosts=("10.1.2.3", "10.1.0.0/16", "[fd00::1]", "::ffff:10.1.2.3", "10.1.2.3")), REDIS
    )
    assert list(map(str, chosen.of(4))) == ["10.1.2.3/32", "10.1.0.0/16"]
    assert list(map(str, chosen.of(6))) == ["fd00::1/128"]
    assert [str(one) for one in chosen.single()] == ["10.1.2.3", "fd00::1"]
    assert chosen.spared == ((ipaddress.ip_address("192.0.2.9"), 6379),)


def test_a_name_becomes_its_addresses():
    assert "127.0.0.1/32" in map(str, select(Wanted(hosts=("localhost",)), ()).networks)


@pytest.mark.parametrize(
    ("wanted", "refused"),
    [
        (Wanted(hosts=("192.0.2.9",)), True),
        (Wanted(hosts=("192.0.2.9",), ports=(6379,)), True),
        (Wanted(hosts=("192.0.2.9",), ports=(8000,)), False),
        (Wanted(hosts=("192.0.2.9",), transport="udp"), False),
        (Wanted(hosts=("192.0.2.0/24",)), False),
        (Wanted(ports=(6379,)), False),
    ],
)
def test_redis_is_refused_by_name_and_spared_in_a_crowd(wanted, refused):
    if refused:
        with pytest.raises(FaultError, match=r"192\.0\.2\.9 port 6379 is this worker's Redis"):
            select(wanted, REDIS)
    else:
        assert select(wanted, REDIS).spared


def test_too_long_a_list_is_refused():
    hosts = tuple(str(ipaddress.ip_address(number)) for number in range(1, MOST_NETWORKS + 2))
    with pytest.raises(FaultError, match="name at most 1024, or CIDRs"):
        select(Wanted(hosts=hosts), ())


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted(hosts=("a", "b"), ports=(1, 2)), "packets to and from a, b, port 1, 2"),
        (Wanted(ports=(53,), transport="udp", direction="out"), "udp packets to any host, port 53"),
        (Wanted(hosts=("a",), direction="in"), "packets from a"),
    ],
)
def test_what_is_wanted_is_said_in_words(wanted, words):
    assert wanted.words() == words


@pytest.mark.parametrize(("host", "alone"), [("10.0.0.5/8", "10.0.0.5"), ("fd00::1/64", "fd00::1")])
def test_an_address_with_a_mask_is_not_taken_for_its_whole_network(host, alone):
    with pytest.raises(FaultError, match=f"would be all of .*: say that, or the address {alone} alone"):
        select(Wanted(hosts=(host,)), ())
