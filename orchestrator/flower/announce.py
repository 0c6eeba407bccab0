"""Where this fleet's Flower is: said in Redis while it runs, so that reports and watchers can link to it."""

import threading
from collections.abc import Callable

import redis

from workers.contract.broker import names
from workers.contract.broker.connection import client
from workers.contract.broker.trouble import explain

EVERY_S = 10.0
STANDS_S = 30
"""A Flower that was killed without a word is still linked to for so long."""
AGAIN_AFTER_S = 2.0
ENDS_WITHIN_S = 3.0
"""Redis answers within 1 s or not at all."""


class Announcement:
    """A thread that keeps saying the address, and tells `say` when Redis goes away and comes back."""

    def __init__(self, broker: str, url: str, *, say: Callable[[str], None]) -> None:
        self._broker, self._url, self._say = broker, url, say
        self._client = client(broker)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flower-address", daemon=True)

    def start(self) -> None:
        """Begin to say it."""
        self._thread.start()

    def close(self) -> None:
        """Take it back if it is still ours and Redis is there."""
        self._closing.set()
        self._thread.join(ENDS_WITHIN_S)
        try:
            if self._client.get(names.FLOWER) == self._url.encode():
                self._client.delete(names.FLOWER)
        except redis.RedisError:
            pass  # it expires
        self._client.close()

    def _run(self) -> None:
        away = ""
        rest_s = 0.0
        while not self._closing.wait(rest_s):
            try:
                self._client.set(names.FLOWER, self._url, ex=STANDS_S)
            except redis.RedisError as error:
                words = explain(error, self._broker)
                if words != away:
                    self._say(f"{words}; trying again every {AGAIN_AFTER_S:g} s")
                away, rest_s = words, AGAIN_AFTER_S
            else:
                if away:
                    self._say("Redis is back")
                away, rest_s = "", EVERY_S
