"""What tests of commands against a fleet share: the command on a real Valkey, campaigns that have ended."""

import time

import pytest
from typer.testing import CliRunner

from orchestrator.cli import app
from workers.contract import facts as f
from workers.contract.broker import names


@pytest.fixture
def at_fleet(shared_valkey, redis_client, tmp_path, monkeypatch):
    """A command on the shared server, or another broker; in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, broker=None, key=""):
        env = {
            "SHAKEOUT_BROKER": shared_valkey.url if broker is None else broker,
            "SHAKEOUT_SIGNING_KEY": key,
        }
        return CliRunner().invoke(app, [str(one) for one in arguments], env=env, catch_exceptions=False)

    return run


@pytest.fixture
def ended(redis_client):
    """A campaign that has ended, with results in Redis; or with none any more."""

    def end(id_, *, verdict="pass", **results):
        fact = f.encode_fact(f.Ended(verdict=verdict, reasons=("because",)))
        redis_client.xadd(names.journal(id_), {"f": f.encode_fact(f.Submitted(campaign=id_, text=""))})
        redis_client.xadd(names.journal(id_), {"f": fact})
        redis_client.zadd(names.FINISHED, {id_: time.time()})
        if results:
            redis_client.hset(
                names.results(id_), mapping={key.replace("_", "."): v for key, v in results.items()}
            )
        return id_

    return end
