"""One connection's conversation, read: requests and answers matched, in order, so that some can be made up.

No sockets here: bytes go in, and pieces come out that are to be sent one way or the other. What cannot be
read is passed on as it is, from there to the end of the connection.
"""

import hashlib
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Literal

from workers.chaos.network.proxy_wire import Speech
from workers.proxy import http_answers, redis_answers
from workers.proxy.hold import Hold, draw
from workers.proxy.http_reader import REQUEST, HttpReader
from workers.proxy.memory import MOST_ANSWER_BYTES, Memory
from workers.proxy.part import Head, Part, Reader, StrangeError
from workers.proxy.redis_reader import RedisReader

MOST_BUFFERED_BYTES = 4 * 1024 * 1024
"""Of one message that has to be seen whole; a larger one passes as it is."""
MOST_OPEN = 10_000
"""Requests of one connection without their answers; beyond that nothing is read any more."""
_APART = 1_000_003  # between the numbers of two connections' requests
_MERGED_BYTES = 64 * 1024  # larger pieces are not joined: it would cost more than it saves
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_TELLS_APART = (
    "host", "authorization", "cookie", "accept", "accept-encoding", "accept-language", "range",
    "if-none-match", "if-modified-since", "if-range", "content-type",
)  # fmt: skip
"""Fields by which one question differs from another with the same path (RFC 9110 sections 12 to 14)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes to be sent `up` or `down`, `delay_s` later while `hold` lasts; then it may be the end."""

    way: Literal["up", "down"]
    data: bytes
    hold: Hold | None = None
    delay_s: float = 0.0
    ends: bool = False


@dataclass(slots=True)
class _Slot:
    """A request whose answer is to come: `ours` where we make it, else from upstream, changed or later.

    `asks`: it only asks what there is, so that an answer may be made up, changed and remembered.
    """

    key: bytes = b""
    method: str = ""
    ours: bytes | None = None
    hold: Hold | None = None
    number: int = 0
    asks: bool = True
    ends: bool = False
    heard: list[bytes] = field(default_factory=list)
    size: int = 0
    words: tuple[bytes, ...] = ()


class Talk:
    """The conversation of one connection, in the language `speaks`; answers that pass go to `memory`.

    `begun`: it is listened to from its first byte; else it is understood from the next request on.
    """

    def __init__(self, speaks: Speech, memory: Memory, *, begun: bool = True) -> None:
        self._speaks, self._memory = speaks, memory
        self._requests: Reader
        self._answers: Reader
        if speaks == "http":
            self._requests, self._answers = HttpReader(), HttpReader(self._is_bodiless)
        else:
            self._requests, self._answers = RedisReader(commands=True), RedisReader(commands=False)
        self._slots: deque[_Slot] = deque()
        self._unread = False
        self._begun = begun
        self._hold: Hold | None = None
        self._connection = self._count = 0
        self._head = Head()
        self._asked: list[bytes] = []
        self._asked_bytes = 0
        self._key = hashlib.sha256()
        self._streams = False
        self._resp3, self._db, self._queues = False, b"0", False
        self._interim = False
        self._kept_bytes = 0

    def meet(self, hold: Hold | None, connection: int) -> None:
        """A hold begins, or is over."""
        self._hold = hold if hold is not None and hold.effect.answer else None
        self._connection = connection

    def settle(self, *, over: bool = False) -> None:
        """Account for what is kept now; `over`: the connection is, and nothing is."""
        asked = self._asked_bytes if self._asked and not over else 0
        heard = self._slots[0].size if self._slots and self._slots[0].heard and not over else 0
        self._memory.kept_bytes += asked + heard - self._kept_bytes
        self._kept_bytes = asked + heard

    def from_client(self, data: bytes) -> list[Piece]:
        """What is to be done with what a client said; nothing: it has said its last."""
        if not self._begun and (REQUEST.match(data) or (self._speaks == "redis" and data[:1] == b"*")):
            self._begun = True
        if self._unread or not self._begun:
            return [Piece("up", data)] if data else []
        if not data:
            kept = b"" if self._streams else b"".join(self._asked)
            rest = kept + self._requests.rest
            return [Piece("up", rest)] if rest else []
        found: list[Piece] = []
        try:
            for part in self._requests.feed(data):
                found += self._ask(part)
                if self._unread or len(self._slots) > MOST_OPEN:
                    raise StrangeError  # noqa: TRY301  # nothing is to be read any more, as where it cannot be
        except StrangeError:
            found += self._give_up_reading()
        return _merged(found)

    def from_upstream(self, data: bytes) -> list[Piece]:
        """What is to be done with what the upstream said."""
        if self._unread or not self._begun:
            return [Piece("down", data)] if data else []
        found: list[Piece] = []
        try:
            for part in self._answers.feed(data):
                found += self._answer(part)
        except StrangeError:
            return [*found, *self._give_up_reading()]
        return _merged(found if data else [*found, *self._buffered()])

    def _ask(self, part: Part) -> list[Piece]:
        """One part of a request: passed on at once, or kept until it is whole and can be judged."""
        if part.head is not None:
            self._head, self._asked, self._asked_bytes = part.head, [], 0
            self._key = hashlib.sha256(part.head.key + self._apart)
            self._streams = self._hold is None
        if part.head is None or self._speaks == "redis":
            self._key.update(part.data)
        passed = [Piece("down", _CONTINUE)] if self._waits_for_leave(part) else []
        self._asked.append(part.data)
        self._asked_bytes += len(part.data)
        much = self._asked_bytes > MOST_BUFFERED_BYTES or not self._memory.has_room
        if not self._streams and not part.ends and much:
            self._streams = True
            passed.append(Piece("up", b"".join(self._asked)))
        elif self._streams:
            passed.append(Piece("up", part.data))
        if self._streams and (self._speaks == "http" or self._asked_bytes > MOST_ANSWER_BYTES):
            self._asked = []
        return [*passed, *self._asked_whole()] if part.ends else passed

    def _waits_for_leave(self, part: Part) -> bool:
        """Whether a client keeps a body back until it is told to go on, which the upstream is not asked."""
        head = part.head
        if head is None or self._streams or part.ends or self._slots:
            return False
        return head.fields.get("expect", "").lower() == "100-continue"

    @property
    def _apart(self) -> bytes:
        """What makes the same words another question; of Redis the protocol's version and the database."""
        if self._speaks == "redis":
            return b"%d %b\n" % (self._resp3, self._db)
        fields = self._head.fields
        return "".join(f"{name}: {fields[name]}\n" for name in _TELLS_APART if name in fields).encode()

    def _asked_whole(self) -> list[Piece]:
        """A request is complete: note whose answer comes next, and make it where it is ours to make."""
        raw, self._asked = b"".join(self._asked), []
        self._count += 1
        slot = _Slot(self._key.digest(), self._head.method, number=self._connection * _APART + self._count)
        if self._speaks == "redis":
            self._understand(slot, raw)
        if self._unread:
            return [] if self._streams else [Piece("up", raw)]
        hold = self._hold
        if hold is not None and not self._streams:
            hold.counts.passed += 1
            if hold.takes(slot.number):
                hold.counts.chosen += 1
                self._decide(slot, hold)
        self._slots.append(slot)
        passed = [] if slot.ours is not None or self._streams else [Piece("up", raw)]
        return [*passed, *self._ours()]

    def _understand(self, slot: _Slot, raw: bytes) -> None:
        """What a command of Redis is, and what it does to those after it."""
        slot.words = tuple(redis_answers.words(raw))
        name = slot.words[:1]
        self._unread = redis_answers.is_silent(slot.words)
        self._resp3 = redis_answers.is_resp3(slot.words, before=self._resp3)
        self._db = slot.words[1] if name == (b"SELECT",) and slot.words[1:] else self._db
        self._queues = name == (b"MULTI",) or (
            self._queues and name not in ((b"EXEC",), (b"DISCARD",), (b"RESET",))
        )
        slot.asks = redis_answers.reads(slot.words) and not self._queues

    def _decide(self, slot: _Slot, hold: Hold) -> None:
        """What becomes of a request that the hold has chosen; a wrong answer is counted once it is wrong."""
        effect = hold.effect
        if effect.answer == "slow":
            slot.hold = hold
            hold.counts.touched += 1
            return
        if not slot.asks:
            return
        if effect.answer == "wrong":
            slot.hold = hold
            return
        if effect.answer == "stale":
            slot.ours = self._memory.recall(slot.key)
            slot.ends = self._speaks == "http" and (
                self._head.last or http_answers.ends_connection(slot.ours or b"")
            )
        elif self._speaks == "http":
            slot.ours = http_answers.made(effect, self._head)
            slot.ends = self._head.last
        else:
            slot.ours = redis_answers.empty(slot.words, resp3=self._resp3)
        hold.counts.touched += slot.ours is not None

    def _ours(self) -> list[Piece]:
        """Answers of ours that are due, nobody being answered before them."""
        found: list[Piece] = []
        while self._slots and (ours := self._slots[0].ours) is not None:
            found.append(Piece("down", ours, ends=self._slots.popleft().ends))
        return found

    def _answer(self, part: Part) -> list[Piece]:
        """One part of an answer of the upstream's."""
        if part.head is not None:
            self._interim = part.head.interim
        if not self._slots or self._interim:
            return [Piece("down", part.data)]
        slot = self._slots[0]
        slot.size += len(part.data)
        if not self._memory.has_room and not part.ends:
            slot.size += MOST_BUFFERED_BYTES
        keeps = slot.hold is not None and slot.hold.effect.answer == "wrong"
        if slot.size <= (MOST_BUFFERED_BYTES if keeps else MOST_ANSWER_BYTES):
            slot.heard.append(part.data)
        elif keeps:
            slot.hold, keeps, heard = None, False, b"".join(slot.heard)
            slot.heard = []
            if not part.ends:
                return [Piece("down", heard + part.data)]
            self._slots.popleft()
            return [Piece("down", heard + part.data), *self._ours()]
        else:
            slot.heard = []
        if not part.ends:
            return [] if keeps else [self._passed(slot, part.data)]
        self._slots.popleft()
        whole = b"".join(slot.heard)
        if slot.asks and slot.hold is None and slot.size == len(whole):
            self._memory.learn(slot.key, whole)
        data = self._altered(slot, whole) if keeps else part.data
        return [self._passed(slot, data), *self._ours()]

    def _passed(self, slot: _Slot, data: bytes) -> Piece:
        hold = slot.hold
        if hold is None or hold.effect.answer != "slow":
            return Piece("down", data)
        return Piece("down", data, hold, hold.delay_s(draw(hold.effect.seed, "slow", slot.number)))

    def _altered(self, slot: _Slot, whole: bytes) -> bytes:
        assert slot.hold is not None  # noqa: S101  # asked for by the caller
        dice = draw(slot.hold.effect.seed, "wrong", slot.number)
        data = (
            http_answers.altered(whole, dice)
            if self._speaks == "http"
            else redis_answers.altered(slot.words, whole, dice)
        )
        slot.hold.counts.touched += data != whole
        return data

    def _is_bodiless(self) -> bool:
        return bool(self._slots) and self._slots[0].method == "HEAD"

    def _give_up_reading(self) -> list[Piece]:
        """Pass on what was kept, and everything from now on.

        Who still waits for an answer of ours could never get it, and is cut off.
        """
        kept = b"" if self._streams else b"".join(self._asked)
        self._unread, self._asked = True, []
        rest = kept + self._requests.rest
        ends = any(slot.ours is not None for slot in self._slots)
        up = [Piece("up", rest)] if rest else []
        return [*up, *self._buffered(), *([Piece("down", b"", ends=True)] if ends else [])]

    def _buffered(self) -> list[Piece]:
        """What was kept of an answer: one that was to be changed whole, a head that is not whole."""
        heard = b""
        if self._slots and (hold := self._slots[0].hold) is not None and hold.effect.answer == "wrong":
            heard, self._slots[0].heard = b"".join(self._slots[0].heard), []
        heard += self._answers.rest
        return [Piece("down", heard)] if heard else []


def _merged(pieces: list[Piece]) -> list[Piece]:
    """Neighbours that go the same way at the same time as one, so that they are sent as one."""
    found: list[Piece] = []
    for piece in pieces:
        before = found[-1] if found else None
        if (
            before is not None
            and not before.ends
            and len(before.data) < _MERGED_BYTES
            and replace(piece, data=b"", ends=False) == replace(before, data=b"")
        ):
            found[-1] = replace(piece, data=before.data + piece.data)
        else:
            found.append(piece)
    return found
