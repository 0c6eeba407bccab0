"""What tests of a host's faults share: who works for one, and the two deaths that each must survive."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from workers.chaos.ledger import reconcile
from workers.chaos.processes import look_at_all

PROMISE_S = 5.0


@pytest.fixture
def hogs(tmp_path: Path) -> Callable[[], list[int]]:
    """Pids of all that works for a fault of this test: its errors go to a file of the fault's own."""

    def find() -> list[int]:
        found = []
        for process in look_at_all().values():
            with suppress(OSError):
                log = Path(f"/proc/{process.pid}/fd/2").readlink()
                if log.is_relative_to(tmp_path) and process.state not in "ZX":
                    found.append(process.pid)
        return found

    return find


@pytest.fixture
def survives(agent, until) -> Callable[..., None]:
    """Kill the agent while its fault is felt: nothing may be left.

    `by_itself`: also where the guardian is killed at the same moment, before the worker's next life.
    """

    def check(order, *, felt, gone, guardian: str = "lives", by_itself: bool = True) -> None:
        one = agent(order)
        until(felt)
        if guardian == "killed":
            one.process.send_signal(signal.SIGSTOP)  # so that it cannot revert while its guardian dies
            os.kill(one.guardians()[0], signal.SIGKILL)
        one.process.kill()
        one.process.wait(PROMISE_S)
        if guardian == "lives" or by_itself:
            until(gone, PROMISE_S)
        if guardian == "lives":
            until(lambda: not one.open_entries() and not one.guardians(), PROMISE_S)
        (found,) = reconcile(one.ledger)
        assert found.by == ("guardian" if guardian == "lives" else "next worker")
        assert found.reverted_s is not None
        assert gone()
        assert [path.name for path in one.ledger.iterdir() if path.name not in (".lock", "done")] == []
        assert reconcile(one.ledger) == []

    return check
