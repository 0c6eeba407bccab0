import socket
import threading
import time

import pytest

from orchestrator.coordinator import resolving
from orchestrator.coordinator.resolving import FIRST_WITHIN_S, MOST_AT_ONCE, Resolver

PATIENCE_S = 15.0
"""Longer than any machine stalls."""


@pytest.fixture
def names(monkeypatch):
    """What names lead to; one that is not there hangs until the test ends."""
    known, over = {}, threading.Event()

    def answer(name, *_, **__):
        if name not in known:
            over.wait(20)
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in known[name]]

    monkeypatch.setattr(resolving.socket, "getaddrinfo", answer)
    yield known
    over.set()


@pytest.fixture
def patient(monkeypatch):
    """A name that somebody answers for is waited for until its thread came to its turn."""
    monkeypatch.setattr(resolving, "FIRST_WITHIN_S", PATIENCE_S)


@pytest.mark.usefixtures("patient")
def test_names_lead_to_their_addresses_and_addresses_are_not_asked_for(names):
    names["chat.test"] = ["10.0.0.5", "::ffff:10.0.0.6", "10.0.0.5"]
    assert Resolver().addresses(["chat.test", "10.0.0.9", "", "::1"]) == {
        "chat.test": ("10.0.0.5", "10.0.0.6"),
    }


def test_a_resolver_that_hangs_is_waited_for_once_and_shortly(names, monkeypatch):
    resolver = Resolver()
    began = time.monotonic()
    assert resolver.addresses(["gone.test"]) == {"gone.test": ()}
    assert FIRST_WITHIN_S * 0.9 <= time.monotonic() - began < FIRST_WITHIN_S * 3
    monkeypatch.setattr(resolving, "FIRST_WITHIN_S", PATIENCE_S)
    began = time.monotonic()
    for _ in range(3):
        resolver.addresses(["gone.test"])
    assert time.monotonic() - began < PATIENCE_S, "it is waited for again and again"


def test_questions_that_hang_are_bounded(names):
    resolver = Resolver()
    found = resolver.addresses([f"gone-{n}.test" for n in range(3 * MOST_AT_ONCE)])
    assert len(found) == MOST_AT_ONCE
    names["chat.test"] = ["10.0.0.5"]
    assert resolver.addresses(["chat.test"]) == {}, "its turn comes when others have answered"


@pytest.mark.usefixtures("patient")
def test_a_name_that_comes_to_lead_elsewhere_is_asked_for_again(names, monkeypatch):
    resolver = Resolver()
    names["chat.test"] = ["10.0.0.5"]
    resolver.addresses(["chat.test"])
    names["chat.test"] = ["10.0.0.7"]
    assert resolver.addresses(["chat.test"]) == {"chat.test": ("10.0.0.5",)}
    monkeypatch.setattr(resolving, "AGAIN_S", 0.0)
    assert resolver.addresses(["chat.test"]) == {"chat.test": ("10.0.0.7",)}
