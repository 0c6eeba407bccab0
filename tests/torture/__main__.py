"""`make torture`: random kills of all parts while campaigns run, and afterwards every number is checked.

`python -m tests.torture --seconds 600 --blows 50 [--seed N] [--folder DIR] [--keep]`, from the top of the
checkout. Exit code 1 where a promise was not kept; logs, journals, reports and the target's log then stay in
the folder that is named. The same seed strikes the same blows at the same times.
"""

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from tests.torture.blows import Blow, Wake, draw, strike
from tests.torture.books import audit, received
from tests.torture.parts import READY_WITHIN_S, Fleet
from tests.torture.rounds import Rounds

LOOK_EVERY_S = 0.05
SETTLED_S = 5.0
"""After the last campaign, at least: parts that were just started finish their start."""
CLEAN_WITHIN_S = 20.0
"""For guardians and engines to be gone after their workers are."""


def main() -> int:
    """Run the torture; 0 where every promise was kept."""
    told = _told()
    folder = (told.folder or Path(tempfile.mkdtemp(prefix="shakeout-torture-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    blows = draw(told.seed, seconds=told.seconds, count=told.blows)
    _say(f"seed {told.seed}: {len(blows)} blows in {told.seconds:g} s; everything is kept in {folder}")
    (folder / "blows.txt").write_text("".join(f"{blow.words()}\n" for blow in blows))
    fleet = Fleet(folder)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        problems, rounds = _torture(fleet, blows, told)
    finally:
        fleet.kill()
    _sum_up(rounds, fleet, problems)
    if problems:
        _say(f"NOT KEPT with --seed {told.seed}: look into {folder}")
        return 1
    if not told.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _told() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--blows", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--keep", action="store_true", help="keep the folder where all is well, too")
    return parser.parse_args()


def _torture(fleet: Fleet, blows: tuple[Blow, ...], told: argparse.Namespace) -> tuple[list[str], Rounds]:
    fleet.start()
    rounds = Rounds(fleet, told.seed)
    _drive(fleet, rounds, blows, seconds=told.seconds)
    problems = [rounds.hung] if rounds.hung else []
    if not rounds.hung:
        problems += _rest(fleet, rounds)
    fleet.stop()
    problems += fleet.deaths
    problems += _left(fleet)
    log = received(fleet.target_log)
    for one in rounds.over:
        problems += [
            f"campaign {one.number} ({one.kind}, {one.id}): {why}"
            for why in audit(one, runs=fleet.folder / "runs", log=log)
        ]
    return problems, rounds


def _drive(fleet: Fleet, rounds: Rounds, blows: tuple[Blow, ...], *, seconds: float) -> None:
    """Strike each blow at its time while campaigns run; return when the last campaign is over."""
    began_s = time.monotonic()
    due, asleep = list(blows), list[Wake]()
    while True:
        now_s = time.monotonic()
        over = now_s - began_s > seconds
        if over and not (rounds.running or due or asleep):
            return
        fleet.tend()
        while due and now_s - began_s >= due[0].at_s:
            blow = due.pop(0)
            said, wake = strike(blow, fleet)
            asleep += [wake] if wake is not None else []
            _say(f"{blow.words()}: {said}")
        for wake in [one for one in asleep if one.at_s <= now_s]:
            wake.strike()
            asleep.remove(wake)
        _turn(rounds, go_on=not over)
        if rounds.hung:
            return
        time.sleep(LOOK_EVERY_S)


def _turn(rounds: Rounds, *, go_on: bool) -> None:
    ended = rounds.step()
    if ended is not None:
        _say(
            f"    campaign {ended.number} ({ended.kind}) ended with {ended.code} after {ended.lasted_s:.1f} s"
        )
    if not rounds.running and go_on:
        rounds.begin()


def _rest(fleet: Fleet, rounds: Rounds) -> Iterator[str]:
    """What was tortured must work like new: one more load, that nobody disturbs, loses nothing."""
    began_s = time.monotonic()
    _tend(fleet, lambda: time.monotonic() > began_s + SETTLED_S, within_s=READY_WITHIN_S)
    # the fault of one that was killed before its guardian was there is undone by its next life
    _tend(fleet, fleet.ready, within_s=READY_WITHIN_S)
    victim = psutil.Process(fleet.parts["victim"].pid)
    _tend(fleet, lambda: victim.status() != psutil.STATUS_STOPPED, within_s=CLEAN_WITHIN_S)
    if victim.status() == psutil.STATUS_STOPPED:
        yield "the victim is still paused: a fault was not taken back"
    rounds.begin("load")
    while rounds.running and not rounds.hung:
        fleet.tend()
        _turn(rounds, go_on=False)
        time.sleep(LOOK_EVERY_S)
    if rounds.hung:
        yield rounds.hung
        return
    last = rounds.over[-1]
    if last.code != 0:
        yield f"the campaign after the torture ended with {last.code}: {last.id}"
        return
    report = json.loads((fleet.folder / "runs" / last.id / "report.json").read_text())
    counts = report["activities"][last.name]["requests"]
    if counts["unknown"] or counts["unsent"]:
        yield f"the campaign after the torture lost requests: {counts}"


def _tend(fleet: Fleet, is_so: Callable[[], bool], *, within_s: float) -> None:
    """Start what died again until something is so, or the time is over."""
    until_s = time.monotonic() + within_s
    while not is_so() and time.monotonic() < until_s:
        fleet.tend()
        time.sleep(LOOK_EVERY_S)


def _left(fleet: Fleet) -> Iterator[str]:
    """Processes and faults that should not be there any more."""
    until_s = time.monotonic() + CLEAN_WITHIN_S
    while (left := fleet.left()) and time.monotonic() < until_s:
        time.sleep(0.2)
    for pid, words in left.items():
        with suppress(psutil.NoSuchProcess):  # it ends just now
            yield f"process {pid} is left: {words} ({psutil.Process(pid).status()})"
    for home in fleet.folder.glob("home-*"):
        for entry in (home / "ledger").glob("*.json"):
            yield f"a fault is left: {entry}"


def _sum_up(rounds: Rounds, fleet: Fleet, problems: list[str]) -> None:
    kinds = Counter(one.kind for one in rounds.over)
    starts = {name: part.starts for name, part in fleet.parts.items() if part.starts > 1}
    said = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    _say(f"{len(rounds.over)} campaigns ended ({said}), {rounds.refused} not submitted; started: {starts}")
    for why in problems:
        _say(f"PROBLEM: {why}")


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
