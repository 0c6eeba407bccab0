"""How a proxy is asked for on a command line."""

import pytest

from workers.contract.proxies import ProxyWant, parse_proxy


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("9000=store.internal:6379", ProxyWant(9000, "store.internal:6379")),
        ("0.0.0.0:9000=10.0.0.5:80", ProxyWant(9000, "10.0.0.5:80", "0.0.0.0")),
        ("[::1]:9000=[::1]:80", ProxyWant(9000, "[::1]:80", "::1")),
    ],
)
def test_a_proxy_is_a_port_and_where_it_leads(text, want):
    assert parse_proxy(text) == want


@pytest.mark.parametrize(
    "text", ["", "9000", "9000=", "9000=store", "x=store:1", "0=store:1", "9000=store:70000"]
)
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"9000=store\.internal:6379"):
        parse_proxy(text)
