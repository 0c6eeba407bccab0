"""The clients' own process: `python -m workers.chaos.clients UNTIL FOLDER`, its order told beside.

It makes everything ready, waits for the word, and does what the fault's kind says until it is ended.
"""

import asyncio
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import cast

from workers.chaos.clients.client import Client
from workers.chaos.clients.crowd import Crowd
from workers.chaos.clients.order import decode
from workers.chaos.clients.tally import TALLY, Tally
from workers.chaos.contract import build
from workers.chaos.lifeline import stand_by, told
from workers.contract.errors import ShakeoutWorkerError


async def _ready() -> tuple[Crowd, Client]:
    order = decode(told())
    crowd = cast("Crowd", build(order.fault, order.options))
    client = Client(order, Tally(Path(sys.argv[2]) / TALLY), crowd.wants)
    await client.prepare()
    if crowd.check_rows is not None:
        crowd.check_rows(client.requests.rows())
    return crowd, client


def main() -> int:
    """Be the clients; it ends by itself only where they cannot be."""
    with suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        crowd, client = asyncio.run(_ready())
    except ShakeoutWorkerError as error:
        os.write(1, str(error).encode())
        return 1
    stand_by()
    asyncio.run(crowd.act(client))
    return 1


if __name__ == "__main__":
    sys.exit(main())
