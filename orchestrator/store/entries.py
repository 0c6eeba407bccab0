"""A journal's entries as they are read, and why nothing was appended to one."""

from dataclasses import dataclass

import msgspec

from workers.contract.facts import Fact, Refused, decode_fact


class NotLeadingError(Exception):
    """Another coordinator leads; whatever was about to be written was not."""


class JournalMovedError(Exception):
    """The journal has grown since it was read: read it, and decide again."""


class SaidBeforeError(Exception):
    """Facts of these `ids` stand in the journal already; of what was to be appended nothing was."""

    def __init__(self, ids: frozenset[str]) -> None:
        super().__init__(f"said before: {', '.join(sorted(ids))}")
        self.ids = ids


@dataclass(frozen=True, slots=True)
class Entry:
    """One fact with its place in the journal."""

    id: str
    fact: Fact


def read_entry(id_: bytes, body: bytes) -> Entry:
    """An entry off the wire; what cannot be read is nobody's word, and stops no campaign."""
    try:
        fact: Fact = decode_fact(body)
    except msgspec.DecodeError as error:
        fact = Refused(what="entry", by="", why=f"it cannot be read: {error}")
    return Entry(id_.decode(), fact)
