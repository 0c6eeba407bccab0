"""The thread in which a worker answers what faults would touch here: beside everything else, and bounded."""

import logging
import threading
from typing import Any

import msgspec
import redis

from workers.clock import CommonClock
from workers.contract.broker import names
from workers.contract.signed.looks import GOOD_FOR_S, KEPT_S, check_look, decode_look, encode_touches
from workers.contract.signed.signing import SignatureError
from workers.faults.dry_run import touches_of
from workers.link import AWAY, Link
from workers.supervise import Supervisor

EVERY_S = 1.0
"""Who asks waits some seconds; a fleet of thousands asks Redis so often."""
AT_ONCE = 8

log = logging.getLogger(__name__)


class Looking:
    """Reads questions from the moment of its start on, and answers those that name this worker."""

    def __init__(self, link: Link, supervisor: Supervisor) -> None:
        self._link, self._supervisor = link, supervisor
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="looking", daemon=True)
        self._read_to = ""
        self._said = ""

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more; a probe that hangs is left to itself."""
        self._closing.set()
        self._thread.join(EVERY_S)

    def _run(self) -> None:
        client = self._link.open_client()
        while not self._closing.wait(EVERY_S):
            try:
                self._look(client, self._link.clock)
            except AWAY as error:
                self._say(self._link.explained(error))
            except Exception:  # a fault that breaks in its own plan must not silence this worker for good
                log.exception("a question of what faults would touch was not answered")

    def _look(self, client: redis.Redis, clock: CommonClock) -> None:
        if not self._read_to:  # a question asked while this worker started is one too
            self._read_to = f"{round((clock.now() - GOOD_FOR_S) * 1000)}-0"
        entries: Any = client.xrange(names.LOOKS, min=f"({self._read_to}", count=AT_ONCE)
        for identity, fields in entries or ():
            self._read_to = identity.decode()
            try:
                look = decode_look(fields.get(b"q", b""))
                if not any(self._link.settings.name in one.workers for one in look.activities):
                    continue
                check_look(look, keys=self._link.settings.people, now_s=clock.now())
            except (msgspec.DecodeError, SignatureError) as error:
                self._say(f"a question in {names.LOOKS} does not count: {error}")
                continue
            found = touches_of(look, self._link.settings, engines=self._supervisor.at_work())
            place = names.looked(look.id)
            client.hset(place, self._link.settings.name, encode_touches(found))
            client.expire(place, KEPT_S)

    def _say(self, words: str) -> None:
        """Each trouble once, until there is another."""
        if words != self._said:
            self._said = words
            log.warning("what faults would touch is not told: %s", words)
