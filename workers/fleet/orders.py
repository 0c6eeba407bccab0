"""The leader's orders to this worker: read from its control stream and handed to the attempts they are for.

An order may come before its attempt is claimed, and again after a coordinator's restart; so orders for
attempts not yet here wait a while, and attempts take a repeat calmly.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable

import msgspec
import redis

from workers.contract.broker import names
from workers.contract.control import AttemptOrder, Order, Stand, decode_order
from workers.contract.signed.signing import SignatureError
from workers.contract.signed.trust import check_order
from workers.link import AGAIN_AFTER_S, AWAY, Link

BLOCK_MS = 400
"""Shorter than the client's timeout of a second."""
MOST_EARLY = 1000
"""Orders waiting for attempts that are not here: at most those of a few phases."""
MOST_OF_ONE = 4
"""Different orders kept for one of them: a start, perhaps another, a stop."""
AT_ONCE = 100

log = logging.getLogger(__name__)
Key = tuple[str, str]


class Orders:
    """The reading thread, and whom it tells; `refuse` is told why an order does not count.

    `stand` is told of proxies that a campaign needs of this life of the worker.
    """

    def __init__(
        self,
        link: Link,
        refuse: Callable[[str], None] = log.warning,
        stand: Callable[[Stand], None] = lambda _: None,
    ) -> None:
        self._link, self._refuse, self._stand = link, refuse, stand
        self._stream = names.control(link.settings.name)
        self._told: dict[Key, Callable[[AttemptOrder], None]] = {}
        self._early: OrderedDict[Key, list[AttemptOrder]] = OrderedDict()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="link-orders", daemon=True)

    def start(self) -> None:
        """Begin to read, from the oldest order on."""
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        self._closing.set()
        self._thread.join(BLOCK_MS / 1000 + 1)

    def listen(self, key: Key, tell: Callable[[AttemptOrder], None]) -> None:
        """Hand orders for (campaign, attempt) to `tell` from now on, those that came early first."""
        with self._lock:
            self._told[key] = tell
            for order in self._early.pop(key, []):
                tell(order)

    def release(self, key: Key) -> None:
        """The attempt is over."""
        with self._lock:
            self._told.pop(key, None)

    def _run(self) -> None:
        client, moves = self._link.open_client(), self._link.moves
        while not self._closing.is_set():
            if moves != self._link.moves:
                moves = self._link.moves
                client.connection_pool.disconnect()
            try:
                self._read(client)
            except AWAY as error:
                log.debug("orders not read: %s", self._link.explained(error))
                self._closing.wait(AGAIN_AFTER_S)

    def _read(self, client: redis.Redis) -> None:
        answer = client.xread({self._stream: "0"}, count=AT_ONCE, block=BLOCK_MS)
        entries = _entries(answer)
        for _, body in entries:
            try:
                order = decode_order(body)
                check_order(order, keys=self._link.settings.keys)
                self._deliver(order)
            except msgspec.DecodeError as error:
                self._refuse(f"an order in {self._stream} could not be read: {error}")
            except SignatureError as error:
                self._refuse(f"an order in {self._stream} does not count: {error}")
        if entries:
            client.xdel(self._stream, *[identity for identity, _ in entries])

    def _deliver(self, order: Order) -> None:
        if isinstance(order, Stand):
            if order.incarnation == self._link.incarnation:
                self._stand(order)
            return
        key = (order.campaign, order.attempt)
        with self._lock:
            tell = self._told.get(key)
            if tell is not None:
                tell(order)
                return
            early = self._early.setdefault(key, [])
            if order not in early:
                early.append(order)
            del early[:-MOST_OF_ONE]
            while len(self._early) > MOST_EARLY:
                self._early.popitem(last=False)


def _entries(answer: object) -> list[tuple[bytes, bytes]]:
    """Entries of an XREAD of one stream: RESP2 answers with a list of pairs, RESP3 with a mapping."""
    if not answer:
        return []
    if isinstance(answer, dict):
        (entries,) = answer.values()
        entries = entries[0] if entries and isinstance(entries[0], list) else entries
    else:
        assert isinstance(answer, list)  # noqa: S101  # redis-py's other form
        entries = answer[0][1]
    return [(identity, fields.get(b"o", b"")) for identity, fields in entries]
