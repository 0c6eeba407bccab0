"""Redis has no room left, by its noeviction policy: what goes on, what is said, and how campaigns end."""

import secrets

import pytest
import redis
from typer.testing import CliRunner

from orchestrator.cli import app
from orchestrator.results.results import LEFT_OUT, REPORT
from orchestrator.results.sealing import SEAL
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.signed.signing import read_keys

FULL = "its memory is full (maxmemory)"
FENCE_S = 3.0


def fill(place) -> None:
    """There is no room, whatever is trimmed: somebody else's data takes several times what there is."""
    place.admin.config_set("maxmemory-policy", "noeviction")
    place.admin.set("somebody", "x" * 4_000_000)
    place.admin.config_set("maxmemory", "1mb")
    with pytest.raises(redis.ResponseError, match="maxmemory"):
        place.admin.set("somebody:else", "x")


def test_a_full_redis_stops_no_load_and_every_campaign_ends_with_its_report(durable, fleet_on, until) -> None:
    place = durable(kind="redis-6.2")  # which says so in other words than newer ones
    key = f"ops={secrets.token_hex(32)}"
    fleet = fleet_on(place, SHAKEOUT_SIGNING_KEY=key)
    fleet.keys = read_keys(key)
    env = {"SHAKEOUT_BROKER": place.url, "SHAKEOUT_SIGNING_KEY": key}
    fleet.ensure(workers=2)
    campaign = fleet.submit("lean", fence=f"{FENCE_S:g}s", duration="8s")
    campaign.fact(f.PhaseStarted)
    until(lambda: len(campaign.log()) > 60)
    fill(place)
    until(lambda: fleet.leader().said(FULL))
    refused = CliRunner().invoke(app, ["submit", str(fleet.folder / "lean.yaml")], env=env)
    assert refused.exit_code == 6, refused.output
    assert FULL in refused.output
    told = CliRunner().invoke(app, ["status"], env=env)
    assert FULL in told.output
    report = campaign.report(within_s=90.0)
    counts = campaign.agrees(report)
    assert report["verdict"] == "pass", report["reasons"]
    assert counts["unknown"] == counts["unsent"] == 0, "leases were renewed and snapshots taken all the same"
    assert fleet.leader().said("has no room for its results, but for the report")
    kept = fleet.store.client.hgetall(names.results(campaign.id))
    assert sorted(kept) == [LEFT_OUT.encode(), REPORT.encode(), SEAL.encode()]
    fetched = CliRunner().invoke(
        app, ["report", campaign.id, "--out", str(fleet.folder / "fetched")], env=env
    )
    assert fetched.exit_code == 0, fetched.output
    assert "journal.jsonl: Redis had no room for it, only at" in kept[LEFT_OUT.encode()].decode()
    for one in (*fleet.coordinators, *fleet.workers.values()):
        assert one.alive()
        assert not one.said("Traceback"), one.log.read_text()
