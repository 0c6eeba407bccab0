"""`python -m workers`: one worker process. Exit codes: 0 drained, 2 usage or name taken, 70 our bug."""

import os
import sys
import threading
import traceback
import uuid
from typing import TYPE_CHECKING

from workers import parent

if TYPE_CHECKING:
    from workers.settings import Settings


def main() -> int:
    """Run one worker until it is drained by SIGTERM or SIGINT."""
    wanted, pid = parent.asked(sys.argv[1:])
    if wanted and not parent.bind(pid):
        sys.stderr.write("worker: the parent is gone already; not started\n")
        return 1
    # Imported only now: the parent-death signal comes before the second that these imports take.
    from workers import logs, settings  # noqa: PLC0415
    from workers.contract.errors import ShakeoutWorkerError  # noqa: PLC0415

    told = settings.parse(sys.argv[1:])
    logs.to_stderr()
    threading.excepthook = _crash
    try:
        return _serve(told)
    except ShakeoutWorkerError as error:
        sys.stderr.write(f"worker {told.name}: {error}\n")
        return 2


def _serve(told: "Settings") -> int:
    from workers import app as celery_app  # noqa: PLC0415
    from workers import life, tasks  # noqa: PLC0415
    from workers.fleet.drain import Drain  # noqa: PLC0415

    app = celery_app.build(told.broker)
    drain = Drain()
    worker = life.build(
        told,
        incarnation=uuid.uuid4().hex,
        drain=drain,
        send_progress=celery_app.progress_sender(app, told.name),
    )
    life.start(worker)
    try:
        tasks.register(app, life.body(worker))
        return celery_app.serve(
            app,
            name=told.name,
            slots=told.slots,
            drain=drain,
            ready=lambda: _ready(told.name),
            refuse=worker.leases.refusals.add,
        )
    finally:
        life.close(worker)


def _ready(name: str) -> None:
    sys.stdout.write(f"worker {name} ready\n")
    sys.stdout.flush()


def _crash(args: threading.ExceptHookArgs) -> None:
    """A broken thread of ours would leave a worker that looks alive and is not: end it, engines and all."""
    traceback.print_exception(args.exc_type, args.exc_value, args.exc_traceback)
    sys.stderr.flush()
    os._exit(70)


if __name__ == "__main__":
    sys.exit(main())
