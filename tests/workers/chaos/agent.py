"""An agent for the tests: runs the order on argv, tells each event as a line of JSON, ends early for a file.

Started as `python agent.py LEDGER ORDER STOP_FILE`; `leaky` as fourth word lets a child inherit every pipe.
"""

import os
import sys
import time
from pathlib import Path

import msgspec

from workers.chaos.processes import boot_s
from workers.chaos.run import FaultEvent, FaultOrder, run_fault


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
        if sys.argv[4:] == ["broken"] and event.what == "verified":
            raise RuntimeError("the caller's own function fails")

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
