"""A worker's log on stderr, where Celery tells of a broker that is away no more often than it helps."""

import logging
import sys
import threading
import time

from workers.contract.log_lines import to_one_line

SAY_EVERY_S = 10.0
"""workers/fleet/leases.py says as often what is wrong, and what to do."""
_CONSUMER = "celery.worker.consumer.consumer"


def to_stderr() -> None:
    """Send what is worth a warning to stderr."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(Seldom())
    to_one_line()


class Seldom(logging.Filter):
    """Lets one record of Celery's consumer through in ten seconds, without a traceback.

    While Redis refuses a command Celery starts again some five times a second, each time with warnings.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._said_s = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to say it."""
        if record.name == "py.warnings":
            return "CPendingDeprecationWarning" not in record.getMessage()
        if record.name != _CONSUMER:
            return True
        record.exc_info = record.exc_text = None
        with self._lock:
            if time.monotonic() - self._said_s < SAY_EVERY_S:
                return False
            self._said_s = time.monotonic()
            return True
