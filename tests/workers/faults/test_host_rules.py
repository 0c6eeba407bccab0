"""What faults must heed on a host, by its worker's own settings."""

import pytest

from workers.chaos.contract import HostRules
from workers.faults.host_rules import broker_places, host_rules
from workers.settings import parse


@pytest.mark.parametrize(
    ("url", "places"),
    [
        ("redis://user:pass@redis.lab/0", ("redis.lab:6379",)),
        ("rediss://[fd00::7]:7000", ("[fd00::7]:7000",)),
        ("redis://localhost:6380", ("127.0.0.1:6380",)),
        ("unix:///run/redis.sock", ()),
        ("sentinel://127.0.0.1:1,127.0.0.1:2/main", ("127.0.0.1:1", "127.0.0.1:2")),
    ],
)
def test_every_server_that_the_broker_may_be_at_is_named_without_its_password(url, places):
    assert broker_places(url) == places


def test_rules_are_the_workers_own_settings(tmp_path):
    flags = ["--name", "w1", "--allow-target", "10.0.0.0/8", "--user-code", str(tmp_path)]
    told = {"SHAKEOUT_BROKER": "redis://127.0.0.1:6379", "SHAKEOUT_HOME": str(tmp_path / "home")}
    rules = host_rules(parse(flags, {**told, "SHAKEOUT_SECRETS": "/run/secrets"}))
    assert rules == HostRules(
        worker="w1",
        broker=("127.0.0.1:6379",),
        allow_targets=("10.0.0.0/8",),
        user_code=(str(tmp_path),),
        secrets="/run/secrets",
        home=str(tmp_path / "home"),
    )
