"""Conversations of several turns: what each turn says, when the next one is due, and how they end.

A session k of n turns takes the indices k·n to k·n + n - 1, so that every request has an id of its own. The
first turn is the arrival; the next is due `think_s` after the answer, with all that was said before.
"""

import time

from workers.contract.behaviour import Sessions
from workers.contract.errors import DataError, ProtocolError
from workers.contract.files.conversation import Message, is_script, messages_of, said, script_of
from workers.contract.snapshot import SessionCounts
from workers.engine.arrival import NS, Arrival
from workers.engine.book import Book, Clock
from workers.engine.data import DataRow, Rows
from workers.protocols.contract import Answer

TURN = "turn"
"""The tag that says which turn a request is, from 1."""


class Talks:
    """The conversations that one engine holds, and their counts.

    It stands between the book and whoever hands arrivals out, because only a first turn is of the schedule.
    Rows that hold a whole conversation (`turns`, or `conversations` as ShareGPT writes it) serve a session
    each; of other rows each turn takes one.
    """

    def __init__(self, sessions: Sessions, *, rows: Rows, book: Book, end_ns: int) -> None:
        self._sessions = sessions
        self._rows = rows
        self._book = book
        self._end_ns = end_ns
        first = rows.row(0)
        self._scripted = first is not None and is_script(first.request)
        self._said: dict[int, list[Message]] = {}
        book.sessions = SessionCounts()

    @property
    def clock(self) -> Clock:
        """The phase's clock."""
        return self._book.clock

    @property
    def turns(self) -> int:
        """Indices that each session takes."""
        return self._sessions.turns

    @property
    def waiting(self) -> int:
        """Conversations between two turns."""
        return self._counts.waiting

    def handed(self, arrival: Arrival, *, following: int) -> None:
        """A user takes a turn; `following` is of first turns alone."""
        self._counts.offered += 1
        if arrival.index % self.turns:
            self._counts.waiting -= 1
            self._book.followed(arrival)
            return
        self._counts.begun += 1
        self._said[arrival.index // self.turns] = []
        self._book.handed(arrival, following=following)

    def unsent_target(self, arrival: Arrival, *, following: int) -> None:
        """A turn stood in line for too long, and with it its conversation ends."""
        self.handed(arrival, following=following)
        self._book.turned_away(arrival)
        self.broke(arrival)

    def has_rows(self, index: int) -> bool:
        """Whether the data holds anything for the session that begins with this index."""
        return self._rows.row(index // self.turns if self._scripted else index) is not None

    def row(self, arrival: Arrival) -> DataRow | None:
        """What a turn says, after all that was said before; None where the data has ended."""
        session, turn = divmod(arrival.index, self.turns)
        row = self._rows.row(session if self._scripted else arrival.index)
        if row is None:
            return None
        so_far = self._said.setdefault(session, [])
        try:
            so_far += (
                script_of(row.request)[turn] if self._scripted else messages_of(row.request, first=not turn)
            )
        except ProtocolError as error:
            raise DataError(f"row {row.number}: {error}") from error
        tags = {**row.tags, TURN: str(turn + 1)}
        return DataRow(said(row.request, list(so_far)), tags, row.number)

    def next_after(self, arrival: Arrival, answer: Answer) -> Arrival | None:
        """The turn that follows an answer, with the time when it is due; None where the conversation ends.

        It ends where a turn failed, the last one was answered, the rows hold no more, or the next turn would
        be due after the schedule's end.
        """
        if not answer.ok:
            self.broke(arrival)
            return None
        session, turn = divmod(arrival.index, self.turns)
        if turn + 1 == self._turns_of(session):
            self._counts.whole += 1
            self._forget(session)
            return None
        now_ns = time.monotonic_ns()
        think_ns = round(self._sessions.think_s * NS)
        at_ns = self.clock.now_ns() + think_ns
        if at_ns >= self._end_ns or (not self._scripted and self._rows.row(arrival.index + 1) is None):
            self._counts.over += 1
            self._forget(session)
            return None
        self._said[session].append({"role": "assistant", "content": answer.fields.get("content") or ""})
        self._counts.waiting += 1
        return Arrival(arrival.index + 1, at_ns, now_ns + think_ns, now_ns + think_ns)

    def due(self, arrival: Arrival) -> None:
        """The pause before this turn is over; the conversation waits until a user takes the turn."""
        arrival.queued_ns = time.monotonic_ns()

    def broke(self, arrival: Arrival) -> None:
        """This turn failed or was not sent: the rest of its conversation is not begun."""
        session, turn = divmod(arrival.index, self.turns)
        if session in self._said:
            self._counts.broken[turn + 1] = self._counts.broken.get(turn + 1, 0) + 1
            self._forget(session)

    @property
    def _counts(self) -> SessionCounts:
        counts = self._book.sessions
        assert counts is not None  # noqa: S101  # set when this was made, and renewed by each snapshot
        return counts

    def _turns_of(self, session: int) -> int:
        if not self._scripted:
            return self.turns
        row = self._rows.row(session)
        return self.turns if row is None else min(self.turns, len(script_of(row.request)))

    def _forget(self, session: int) -> None:
        self._said.pop(session, None)
