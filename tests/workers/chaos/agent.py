"""An agent for the tests: runs the order on argv, tells each event as a line of JSON, ends early for a file.

Started as `python agent.py LEDGER ORDER STOP_FILE`; `leaky` as fourth word lets a child inherit every pipe.
`held-up-MOMENT` stops the agent, as if by SIGSTOP from outside, at one moment: `opening` right after the
ledger's entry was opened, `recording` right after it was written again, `injecting` right before the fault's
inject; with `-dies` it ends right after that; `telling` while it tells that it has injected.
"""

import os
import signal
import sys
import time
from pathlib import Path

import msgspec

import workers.chaos.hold
import workers.chaos.strike
from workers.chaos.contract import kind_of
from workers.chaos.processes import boot_s
from workers.chaos.run import FaultEvent, FaultOrder, run_fault


def hold_up(fault: str, manner: str) -> None:
    """Let this process stop itself where `manner` says; whoever continues it decides how late it injects."""
    made, write, open_entry = kind_of(fault).made, workers.chaos.hold.write, workers.chaos.strike.open_entry
    inject = made.inject

    def late_inject(self, scene, *more) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)
        inject(self, scene, *more)
        if manner.endswith("dies"):
            os.kill(os.getpid(), signal.SIGKILL)

    def late_write(path, entry) -> None:
        write(path, entry)
        workers.chaos.hold.write = write
        os.kill(os.getpid(), signal.SIGSTOP)

    def late_open(*words, **more):
        opened = open_entry(*words, **more)
        os.kill(os.getpid(), signal.SIGSTOP)
        return opened

    if "opening" in manner:
        workers.chaos.strike.open_entry = workers.chaos.hold.open_entry = late_open
    elif "injecting" in manner:
        made.inject = late_inject
    elif "recording" in manner:
        workers.chaos.hold.write = late_write


def main() -> None:
    ledger, stop = Path(sys.argv[1]), Path(sys.argv[3])
    order = msgspec.json.decode(sys.argv[2], type=FaultOrder)

    def emit(event: FaultEvent) -> None:
        print(msgspec.json.encode(event).decode(), flush=True)
        if sys.argv[4:] == ["leaky"] and event.what == "injected" and os.fork() == 0:
            os.closerange(0, 3)
            until_s = boot_s() + 20.0
            while not stop.exists() and boot_s() < until_s:
                time.sleep(0.01)
            os._exit(0)
        if sys.argv[4:] == ["held-up-telling"] and event.what == "injected":
            os.kill(os.getpid(), signal.SIGSTOP)
        if sys.argv[4:] == ["broken"] and event.what == "verified":
            raise RuntimeError("the caller's own function fails")

    for manner in sys.argv[4:]:
        if manner.startswith("held-up"):
            hold_up(order.fault, manner)
    run_fault(
        order,
        ledger=ledger,
        clock=boot_s,
        emit=emit,
        may_go_on=lambda: stop.read_text() if stop.exists() else None,
        wait=time.sleep,
    )


if __name__ == "__main__":
    main()
