"""A process of our own that looks at the GPUs ten times a second while a fault is held on them.

The agent reads what it saw: a driver that hangs takes this process with it and no other.
"""

import sys
import time
from pathlib import Path

from workers.chaos.gpu.asking import tell
from workers.chaos.gpu.readings import SilentError, opened, read
from workers.chaos.gpu.seen import Reading
from workers.chaos.lifeline import stand_by
from workers.chaos.processes import boot_s

EVERY_S = 0.1


def main() -> int:
    """Look for ever; what cannot be read is told as trouble."""
    (folder,) = stand_by()
    while True:
        try:
            with opened() as nvml:
                while True:
                    tell(Path(folder), read(nvml))
                    time.sleep(EVERY_S)
        except SilentError as error:
            tell(Path(folder), Reading(boot_s(), trouble=str(error)))
        time.sleep(EVERY_S)


if __name__ == "__main__":
    sys.exit(main())
