"""Random kill -9 of agents, guardians and processes of our own, over all faults: nothing may be left over.

Some blows by default; `SHAKEOUT_FAULT_KILLS=100 pytest tests/workers/chaos/test_torture.py` strikes as
often as it says. What failed says its seed: `SHAKEOUT_FAULT_SEED=N` strikes the same again.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from msgspec.structs import replace

from workers.chaos import TABLE
from workers.chaos.contract import kind_of

KILLS = int(os.environ.get("SHAKEOUT_FAULT_KILLS", "16"))
SEED = int(os.environ.get("SHAKEOUT_FAULT_SEED", "7"))
GONE_WITHIN_S = 15.0  # 5 s are promised; three times that on a machine which is busy
VICTIMS = (
    ("agent",),
    ("guardian",),
    ("own",),
    ("agent", "own"),
    ("guardian", "own"),
    ("agent", "guardian"),
    ("agent", "guardian", "own"),
)
RECONCILE = (
    "import sys; from pathlib import Path; from workers.chaos.ledger import reconcile; "
    "print([entry.why for entry in reconcile(Path(sys.argv[1])) if entry.reverted_s is None])"
)


def test_every_fault_has_a_sample(samples):
    assert set(TABLE) - set(samples.SAMPLES) == set(), "add a line to tests/workers/chaos/samples.py for each"


@pytest.mark.timeout(60 + 20 * KILLS)
def test_whoever_is_killed_at_whatever_moment_nothing_is_left_over(
    samples, tmp_path, orphan, agent, make_order, pinned, until
):
    """A blow: a fault is ordered, somebody is killed at a random moment, and the world must be as before."""
    makes = samples.possible()
    drawn = random.Random(SEED)
    names = drawn.sample(list(makes), len(makes))
    for number in range(KILLS):
        name = names[number % len(names)]
        folder = tmp_path / str(number)
        folder.mkdir()
        sample = makes[name](samples.Bench(folder, orphan, pinned))
        order = make_order(
            sample.match,
            fault=name,
            for_s=40.0 if kind_of(name).held else 0.0,
            limit_s=60.0,
            options=sample.options,
        )
        one = agent(replace(order, **sample.order), folder=folder, inside=sample.inside)
        early = drawn.random() < 0.3
        moment_s, victims = drawn.uniform(0.0, 0.4), drawn.choice(VICTIMS)
        if not early:
            until(lambda sample=sample, one=one: sample.felt() or one.process.poll() is not None)
        time.sleep(moment_s)  # the random moment itself
        said = f"blow {number} of seed {SEED}: {name}, {' and '.join(victims)} killed, early: {early}"
        _strike(one, victims)
        if "agent" not in victims:
            one.stop.write_text("over")
        if {"agent", "guardian"} <= set(victims):
            _next_life(sample, one.ledger)
        _await_nothing(sample, one, said)


def _strike(one, victims):
    """Kill -9, all at once."""
    pids = {
        "agent": [one.process.pid],
        "guardian": one.guardians(),
        "own": [
            who["pid"]
            for path in one.open_entries()
            for who in json.loads(path.read_bytes())["scene"].get("own", [])
        ],
    }
    for victim in victims:
        for pid in pids[victim]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    if {"agent", "guardian"} <= set(victims):
        one.process.wait(
            GONE_WITHIN_S
        )  # one that it was just starting came after the look; a dead agent starts no more
        until_s = time.monotonic() + GONE_WITHIN_S
        while late := one.guardians():
            assert time.monotonic() < until_s, late
            for pid in late:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _next_life(sample, ledger):
    """What a worker does as it starts."""
    done = subprocess.run(
        [*sample.inside, sys.executable, "-c", RECONCILE, str(ledger)],
        capture_output=True,
        text=True,
        check=True,
        timeout=90,
    )
    assert done.stdout.strip() == "[]", done.stdout


def _await_nothing(sample, one, said):
    """The effect is gone, and so are the ledger's entry, the guardian and everybody of our own."""
    start_s = time.monotonic()
    while left := _left(sample, one):
        if time.monotonic() - start_s > GONE_WITHIN_S:
            pytest.fail(f"{said}: still there after {GONE_WITHIN_S:g} s: {left}")
        time.sleep(0.01)
    _next_life(sample, one.ledger)
    rest = [path for path in one.ledger.rglob("*") if path.name not in (".lock", "done")]
    assert rest == [], said


def _left(sample, one):
    return "; ".join(
        filter(
            None,
            (
                sample.left(),
                f"ledger {[path.name for path in one.open_entries()]}" if one.open_entries() else "",
                f"guardians {one.guardians()}" if one.guardians() else "",
                "the agent" if one.process.poll() is None else "",
            ),
        )
    )
