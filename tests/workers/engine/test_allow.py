"""The allow-list: loopback always, the rest only as listed, judged on the address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.contract.errors import TargetRefusedError
from workers.engine.allow import AllowList, parse_allow_list


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_always_allowed(address):
    assert AllowList().permits("anything.example", 80, address=address)


@pytest.mark.parametrize("address", ["10.0.0.1", "0.0.0.0", "::", "fe80::1%eth0", "::ffff:10.0.0.1"])
def test_nothing_else_is_allowed_by_an_empty_list(address):
    assert not AllowList().permits("anything.example", 80, address=address)


@pytest.mark.parametrize(
    ("entry", "host", "port", "address"),
    [
        ("chat.internal", "chat.internal", 8000, "10.1.2.3"),
        ("Chat.Internal.", "chat.internal", 8000, "10.1.2.3"),
        ("chat.internal", "CHAT.internal.", 8000, "10.1.2.3"),
        ("chat.internal:8000", "chat.internal", 8000, "10.1.2.3"),
        ("bücher.example", "xn--bcher-kva.example", 80, "10.1.2.3"),
        ("10.0.0.0/8", "chat.internal", 8000, "10.1.2.3"),
        ("10.0.0.0/8", "chat.internal", 8000, "::ffff:10.1.2.3"),
        ("10.1.2.3", "10.1.2.3", 8000, "10.1.2.3"),
        ("10.1.2.3:8000", "chat.internal", 8000, "10.1.2.3"),
        ("fd00::/8", "chat.internal", 8000, "fd00::7"),
        ("fd00::7", "chat.internal", 8000, "fd00::7"),
        ("[fd00::7]", "chat.internal", 8000, "fd00::7"),
        ("[fd00::7]:8000", "chat.internal", 8000, "fd00::7"),
        ("::ffff:10.0.0.0/104", "chat.internal", 8000, "10.1.2.3"),
    ],
)
def test_an_entry_allows_what_it_says(entry, host, port, address):
    assert parse_allow_list([entry]).permits(host, port, address=address)


@pytest.mark.parametrize(
    ("entry", "host", "port", "address"),
    [
        ("chat.internal:8000", "chat.internal", 8001, "10.1.2.3"),
        ("chat.internal", "evil.chat.internal", 80, "10.1.2.3"),
        ("chat.internal", "chat.internal.evil", 80, "10.1.2.3"),
        ("10.0.0.0/8", "10.example", 80, "11.0.0.1"),
        ("10.1.2.3:8000", "10.1.2.3", 80, "10.1.2.3"),
        ("[fd00::7]:8000", "fd00::7", 80, "fd00::7"),
        ("10.0.0.0/8", "h", 80, "fd00::7"),
        ("fd00::/8", "h", 80, "10.0.0.1"),
    ],
)
def test_an_entry_allows_no_more_than_it_says(entry, host, port, address):
    assert not parse_allow_list([entry]).permits(host, port, address=address)


def test_every_entry_that_cannot_be_read_is_named():
    broken = ["http://x", "10.0.0.0/99", "h:0", "h:70000", "[chat]:80", "a b", "10.0.0"]
    with pytest.raises(TargetRefusedError) as caught:
        parse_allow_list(["chat.internal", *broken])
    for entry in broken:
        assert repr(entry) in str(caught.value)
    assert "'chat.internal'" not in str(caught.value)


def test_blank_entries_are_passed_over():
    assert parse_allow_list(["", "  "]) == AllowList()


def test_a_name_that_leads_to_a_forbidden_address_is_refused_though_it_also_leads_to_loopback():
    kept = AllowList().permitted("both.example", 80, addresses=["10.0.0.1", "127.0.0.1"])
    assert kept == ["127.0.0.1"]


def test_a_refusal_says_what_where_and_what_to_do():
    with pytest.raises(TargetRefusedError) as caught:
        AllowList().permitted("fd00::7", 8000, addresses=["fd00::7"])
    assert "[fd00::7]:8000 is not on this worker's allow-list" in str(caught.value)
    assert "--allow-target [fd00::7]:8000" in str(caught.value)


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_a_network_allows_exactly_its_addresses(address, length):
    permits = parse_allow_list([f"10.0.0.0/{length}"]).permits("h", 80, address=str(address))
    same = int(address) >> (32 - length) == int.from_bytes(bytes([10, 0, 0, 0])) >> (32 - length)
    assert permits == (same or address.is_loopback)
