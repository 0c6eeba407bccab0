import pytest

from workers.contract.addresses import address_of, apart, is_loopback, joined, limit_at, parse_limits
from workers.contract.errors import ContractError


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://Model.Example.", "model.example:80"),
        ("https://model.example/v1", "model.example:443"),
        ("http://localhost:8000", "127.0.0.1:8000"),
        ("http://[::1]:8000", "127.0.0.1:8000"),
        ("http://[::ffff:10.0.0.5]:80/x", "10.0.0.5:80"),
        ("http://[2001:DB8::5]", "[2001:db8::5]:80"),
        ("http://user:pass@10.0.0.5", "10.0.0.5:80"),
        ("http://h/${env:PATH_PART}", "h:80"),
        ("${env:URL}", ""),
        ("http://${env:HOST}:8000", ""),
        ("http://h:port", ""),
        ("ftp://h", ""),
        ("http://", ""),
    ],
)
def test_an_address_is_one_however_its_url_is_written(url, address):
    assert address_of(url) == address


@pytest.mark.parametrize("address", ["h:80", "[2001:db8::5]:443", "10.0.0.5:1"])
def test_an_address_is_taken_apart_and_joined_again(address):
    assert joined(*apart(address)) == address


def test_loopback_is_told_by_address_and_not_by_name():
    assert is_loopback("127.0.0.1")
    assert is_loopback("127.9.9.9")
    assert not is_loopback("10.0.0.1")
    assert not is_loopback("loopback.example")


def test_limits_are_read_in_every_unit_and_the_lower_of_two_counts():
    said = ["h:80=20/s", " LOCALHOST:8000 = 120/min ", "", "h:80=3.5/s", "[2001:db8::5]:443=7200/h"]
    assert parse_limits(said) == {"h:80": 3.5, "127.0.0.1:8000": 2.0, "[2001:db8::5]:443": 2.0}


def test_limits_that_cannot_be_read_are_all_named():
    with pytest.raises(ContractError) as raised:
        parse_limits(["h:80=20/s", "h=20/s", "h:80=20", "h:80=0/s", "h:99999=1/s"])
    assert str(raised.value) == (
        "cannot read in the limits of targets: 'h=20/s', 'h:80=20', 'h:80=0/s', 'h:99999=1/s'; "
        "write HOST:PORT=RATE, e.g. 10.0.0.5:8000=200/s"
    )


def test_the_lowest_limit_on_a_name_or_its_addresses_counts():
    limits = {"h:80": 20.0, "10.0.0.5:80": 5.0, "10.0.0.6:81": 1.0}
    assert limit_at("h:80", limits) == 20.0
    assert limit_at("h:80", limits, leads_to=["10.0.0.5", "10.0.0.6"]) == 5.0
    assert limit_at("other:80", limits) is None
    assert limit_at("", limits) is None
