"""How an ended campaign is told of to somebody with a key: only as a coordinator sealed it."""

import json

import pytest

from orchestrator.results.sealing import SEAL, sealed
from workers.contract.broker import names
from workers.contract.signed.signing import read_keys

OPS, ADA = "ops=a-secret-of-coordinators", "ada=a-secret-of-a-submitter"
BELIEVED = read_keys(f"{OPS},{ADA}")
REPORT = json.dumps({"schema": 1, "verdict": "pass"}).encode()


@pytest.mark.parametrize("key", [OPS, ADA])
def test_what_a_coordinator_sealed_is_told_to_everybody_whom_it_believes(at_fleet, ended, redis_client, key):
    ended("c-1", verdict="pass", report_json=REPORT)
    files = sealed({"report.json": REPORT}, campaign="c-1", verdict="pass", keys=BELIEVED)
    redis_client.hset(names.results("c-1"), SEAL, files[SEAL])
    assert at_fleet("watch", "c-1", key=key).exit_code == 0
    assert at_fleet("watch", "c-1").exit_code == 0


def test_a_pass_that_nobody_sealed_is_none_to_somebody_with_a_key(at_fleet, ended):
    ended("c-1", verdict="pass", report_json=REPORT)
    done = at_fleet("watch", "c-1", key=ADA)
    assert done.exit_code == 70
    assert "the results of c-1 are not sealed" in done.output
    assert at_fleet("watch", "c-1").exit_code == 0, "without a key there is nothing to hold it against"


def test_a_journal_that_tells_another_verdict_than_the_seal_is_not_believed(at_fleet, ended, redis_client):
    ended("c-1", verdict="pass", report_json=REPORT)
    files = sealed({"report.json": REPORT}, campaign="c-1", verdict="fail", keys=BELIEVED)
    redis_client.hset(names.results("c-1"), SEAL, files[SEAL])
    done = at_fleet("watch", "c-1", key=ADA)
    assert done.exit_code == 1
    assert "the journal says pass, but what the coordinator sealed is fail" in done.output


def test_the_seal_of_another_campaign_is_worth_nothing(at_fleet, ended, redis_client):
    ended("c-1", verdict="pass", report_json=REPORT)
    files = sealed({"report.json": REPORT}, campaign="c-2", verdict="pass", keys=BELIEVED)
    redis_client.hset(names.results("c-1"), SEAL, files[SEAL])
    done = at_fleet("watch", "c-1", key=ADA)
    assert done.exit_code == 70
    assert "not to be believed" in done.output
