"""`python -m orchestrator` is `shakeout`."""

from orchestrator.cli import main

main()
