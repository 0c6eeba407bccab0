"""A whole campaign on every kind of broker: Redis 6.2 and 7.0, a socket, TLS, and users that may little."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from typer.testing import CliRunner

from orchestrator.cli import app
from orchestrator.overview.read import known_ids
from orchestrator.store.store import Store
from workers.contract.broker.permits import NEEDS, ROLES, denied, listed
from workers.contract.facts import PhaseStarted

ALWAYS = "+hello +auth +ping +select +multi +exec +discard +watch +unwatch +client|setinfo"
KEYS = "~shakeout:* ~*.dq2* ~_kombu.binding.* ~unacked* &/0.shakeout.events/*"


@dataclass
class At:
    """Where the parts that are started next find the broker."""

    url: str
    resume: Callable[[], None] = lambda: None


@pytest.fixture
def carries(fleet_on: Callable[..., Any], until: Callable[..., Any]) -> Callable[..., Any]:
    """Runs a campaign of two shards over a coordinator and two workers there; the fleet, afterwards."""

    def run(url: str, *, coordinator: str = "", worker: str = "") -> Any:
        at = At(url)
        fleet = fleet_on(at)
        at.url = coordinator or url
        fleet.coordinator()
        at.url = worker or url
        fleet.ensure(workers=2)
        campaign = fleet.submit("brief", duration="1s")
        until(lambda: campaign.finished() or any(one.said("nothing can be done") for one in fleet.ended))
        report = campaign.report(within_s=0.1)
        assert report["verdict"] == "pass", report["reasons"]
        counts = campaign.agrees(report)
        assert counts["unknown"] == counts["unsent"] == 0
        for process in fleet.ended:
            assert not process.said("Traceback"), process.log.read_text()
        return fleet

    return run


@pytest.mark.parametrize("kind", ["redis-6.2", "redis-7"])
def test_an_older_redis_with_a_password_carries_a_campaign(redis_server, carries, kind):
    server = redis_server("requirepass s/e:c@ret", kind=kind)
    carries(server.url(":s%2Fe%3Ac%40ret"))


def test_a_socket_carries_a_campaign(redis_server, carries):
    server = redis_server("requirepass secret", "unixsocket {folder}/redis.sock", "unixsocketperm 700")
    carries(f"unix://:secret@{server.folder}/redis.sock?db=3")


def test_tls_carries_a_campaign_of_all_parts(redis_server, carries, authority, tls_lines):
    server = redis_server(*tls_lines(clients="yes"), "requirepass secret", kind="redis-7")
    own = f"&ssl_certfile={authority['here']}&ssl_keyfile={authority['here-key']}"
    carries(server.url(":secret", scheme="rediss", more=f"?ssl_ca_certs={authority['ca']}{own}"))


def allowed(*roles: str) -> str:
    """What an ACL gives a user of these roles: what they need and nothing else."""
    lines = [line.lower().split() for role in roles for line in NEEDS[role]]
    commands = {f"{one[0]}|{one[1]}" if one[0] in {"script", "xinfo"} else one[0] for one in lines}
    return " ".join(sorted(f"+{command}" for command in commands))


def test_users_that_may_only_what_their_role_is_said_to_need_carry_a_campaign(redis_server, carries):
    acl = [
        f"user {role} on >secret resetkeys resetchannels -@all {KEYS} {ALWAYS} {allowed(role)}"
        for role in ROLES
        if role != "operator"
    ]
    server = redis_server("requirepass admin", *acl)
    urls = {role: server.url(f"{role}:secret") for role in ROLES}
    fleet = carries(urls["submitter"], coordinator=urls["coordinator"], worker=urls["worker"])
    (id_,) = known_ids(fleet.store)
    for words in (("status",), ("status", id_), ("list",), ("workers",), ("watch", id_)):
        told = CliRunner().invoke(app, words, env={"SHAKEOUT_BROKER": urls["submitter"]})
        assert told.exit_code == 0, (words, told.output)
    with redis.Redis.from_url(server.url(":admin")) as admin:
        assert {(one["username"], one["reason"], one["object"]) for one in admin.acl_log()} == set()


@pytest.mark.parametrize("role", ROLES)
def test_each_role_lacks_what_is_taken_from_its_user_and_nothing_changes(redis_server, kind_of_server, role):
    everything = "+@all &* ~shakeout:* ~*.dq2* ~_kombu.binding.* ~unacked*"
    server = redis_server("requirepass admin", f"user ada on >secret {everything}", kind=kind_of_server)
    store = Store(server.url("ada:secret"))
    with redis.Redis.from_url(server.url(":admin")) as admin, store.client:
        assert listed(denied(store.client, role)) == ""
        admin.execute_command("ACL", "SETUSER", "ada", "-xadd")
        missing = denied(store.client, role)
        assert {one.acl for one in missing} == {"+xadd"}
        admin.execute_command("ACL", "SETUSER", "ada", "+xadd", "resetkeys", "~shakeout:c:*", "~*.dq2*")
        missing = denied(store.client, role)
        assert all(one.acl.startswith("~") for one in missing)
        assert "shakeout:inbox" in listed(missing)
        assert admin.dbsize() == 0


def test_a_permission_taken_away_and_a_memory_that_is_full_end_no_part_and_no_campaign(
    redis_server, fleet_on, until
):
    server = redis_server("requirepass admin", "user ada on >secret ~* &* +@all")
    fleet = fleet_on(At(server.url("ada:secret")))
    fleet.ensure(workers=2)
    campaign = fleet.submit("lean", duration="8s", fence="10s")
    campaign.fact(PhaseStarted)
    until(lambda: len(fleet.received()) > 50)
    parts = (*fleet.coordinators, *fleet.workers.values())
    with redis.Redis.from_url(server.url(":admin")) as admin:
        admin.execute_command("ACL", "SETUSER", "ada", "-brpop", "-hset", "-xadd", "-zrange")
        until(lambda: all(one.said("user ada may not run") for one in parts))
        admin.execute_command("ACL", "SETUSER", "ada", "+@all")
        until(lambda: fleet.store.client.exists("shakeout:leader"))
        admin.config_set("maxmemory", "1mb")
        seen = len(fleet.received())
        until(lambda: len(fleet.received()) > seen + 50)
        admin.config_set("maxmemory", "0")
    report = campaign.report(within_s=60.0)
    assert report["verdict"] == "pass", report["reasons"]
    assert campaign.agrees(report)["unknown"] == 0
    for one in parts:
        assert one.alive()
        assert not one.said("Traceback"), one.log.read_text()
