"""Runs the coordinator under cProfile by CPU time: what it waits for, and who else is busy, is left out.

Run: python benchmarks/profiled.py FILE coordinator --runs URL; then python -m pstats FILE
"""

import cProfile
import sys
import time

from orchestrator.cli import main

if __name__ == "__main__":
    file = sys.argv.pop(1)
    profile = cProfile.Profile(time.thread_time)
    try:
        profile.runcall(main)
    finally:
        profile.dump_stats(file)
