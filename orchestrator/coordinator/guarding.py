"""The boundary between campaigns: one that cannot be coordinated is tried again, then ended, alone."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import redis

from orchestrator.coordinator.admission import RefusedError
from orchestrator.coordinator.early_ends import clear, give_up, refuse
from orchestrator.store.entries import NotLeadingError
from orchestrator.store.store import Store, is_away
from workers.contract.broker.trouble import is_full, is_spoilt
from workers.contract.signed.signing import Keys

MOST_FAILURES = 5
"""After so many steps in a row that broke a campaign ends as an internal error."""
MOST_FAILURES_OF_STORE = 30
"""Where it is a remote store of results that fails: it has a minute to come back."""
REST_S = 2.0
"""Between two of them."""
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Guard:
    """Which campaigns broke lately.

    `failures`: campaign -> steps in a row that broke. `rests`: campaign -> monotonic time of its next try.
    """

    failures: dict[str, int] = field(default_factory=dict)
    rests: dict[str, float] = field(default_factory=dict)

    def lets(self, id_: str) -> bool:
        """Whether the campaign may be tried now."""
        return time.monotonic() >= self.rests.get(id_, 0.0)

    def step(self, id_: str, work: Callable[[], bool], *, store: Store, keys: Keys) -> Exception | None:
        """Do a step of one campaign; return what broke in it.

        `work`: whether it went well, as far as that is known. Raises NotLeadingError, and RedisError where
        Redis is away, or full: the others are not to blame.
        """
        try:
            if work():
                self.failures.pop(id_, None)
        except NotLeadingError:
            raise
        except RefusedError as error:
            _end(store, id_, partial(refuse, store, id_, error, keys=keys))
        except Exception as error:
            if isinstance(error, redis.RedisError) and is_full(error):
                raise
            if is_away(error) and not is_spoilt(error):
                raise
            log.exception("campaign %s", id_)
            return error
        return None

    def broke(self, id_: str, error: Exception, *, remote: bool, store: Store, keys: Keys) -> None:
        """Let a campaign rest after a step that broke, and end it where that was one too many.

        `remote`: results are kept in a store that may be away for a while.
        """
        self.failures[id_] = self.failures.get(id_, 0) + 1
        self.rests[id_] = time.monotonic() + REST_S
        patient = remote and isinstance(error, OSError)
        if self.failures[id_] >= (MOST_FAILURES_OF_STORE if patient else MOST_FAILURES):
            _end(store, id_, partial(give_up, store, id_, error, keys=keys))


def _end(store: Store, id_: str, end: Callable[[], None]) -> None:
    try:
        end()
    except redis.ResponseError as error:
        if not is_spoilt(error):
            raise
        clear(store, id_)  # the next time it can be said
