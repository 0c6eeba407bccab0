"""A process of our own that takes memory on GPUs and holds it until it ends.

Arguments: BUS=BYTES, one a GPU, BUS as NVML writes it. The driver
takes the memory back when the process ends.
"""

import sys
import time

from workers.chaos.gpu import cuda
from workers.chaos.lifeline import stand_by
from workers.contract.errors import FaultError


def main() -> int:
    """Find the GPUs, wait for the word, take what is asked for; never returns while all is well."""
    try:
        with cuda.quietly():
            driver = cuda.load()
            places = cuda.places(driver)
        for word in stand_by():
            bus, _, size = word.rpartition("=")
            size_bytes = int(size)
            cuda.enter(driver, cuda.place_of(bus, places))
            taken = cuda.take(driver, size_bytes)
            if taken < size_bytes:
                print(f"the GPU had {taken} of {size_bytes} bytes to give", file=sys.stderr, flush=True)
    except FaultError as error:
        print(error, file=sys.stderr)
        return 1
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    sys.exit(main())
