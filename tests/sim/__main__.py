"""`python tests/sim --seed N [--trace]` lives through one seed again and prints it; or through many."""

import argparse
import json
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from simulated.simulation import simulate  # noqa: E402


def main():
    """Return 1 where a seed breaks."""
    parser = argparse.ArgumentParser(prog="python tests/sim", description=__doc__)
    parser.add_argument("--seed", type=int, help="live through this one")
    parser.add_argument("--seeds", type=int, nargs=2, metavar=("FIRST", "COUNT"), help="or through these")
    parser.add_argument("--trace", action="store_true", help="print all that happens, not only what breaks")
    parser.add_argument("--calm", action="store_true", help="nothing goes wrong")
    parser.add_argument("--given", type=json.loads, default={}, help="what is not to be drawn, as JSON")
    given = parser.parse_args()
    if given.seed is not None:
        story = simulate(given.seed, traces=given.trace, **{"calm": given.calm, **given.given})
        print(story.words())
        return 1 if story.why else 0
    first, count = given.seeds or (0, 200)
    began_s, broken = time.process_time(), []
    for seed in range(first, first + count):
        story = simulate(seed, **{"calm": given.calm, **given.given})
        if story.why:
            broken.append(seed)
            print(f"seed {seed}: {story.why}", flush=True)
    took_s = time.process_time() - began_s
    print(
        f"{count} seeds in {took_s:.1f} s of processor time, {1000 * took_s / count:.0f} ms each; "
        f"broken: {broken or 'none'}"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
