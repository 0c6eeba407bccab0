"""What the rows of a conversation say, turn by turn. Pure.

A row is one turn, written as any row of a chat; or a whole conversation: `turns`, a list of texts or
messages, or `conversations` as ShareGPT writes it.
"""

from collections.abc import Callable, Mapping

from workers.contract.errors import ProtocolError

SCRIPTS = ("turns", "conversations")
_OF_USERS = frozenset({"human", "user"})
Message = Mapping[str, object]
Row = Mapping[str, object]


def is_script(row: Row) -> bool:
    """Whether the row holds a whole conversation."""
    return any(isinstance(row.get(key), list) for key in SCRIPTS)


def script_of(row: Row) -> list[list[Message]]:
    """The messages before each answer of a whole conversation. Raises ProtocolError where there are none."""
    turns, shared = row.get("turns"), row.get("conversations")
    if isinstance(turns, list) and turns:
        return [[_message(one)] for one in turns]
    if isinstance(shared, list) and shared:
        return _shared(shared)
    raise ProtocolError(
        'where one row holds a whole conversation all do: it needs "turns", a list of texts, '
        'or "conversations" with at least one turn'
    )


def messages_of(row: Row, *, first: bool) -> list[Message]:
    """What a row of one turn adds; system messages only at the beginning. Raises ProtocolError."""
    messages = row.get("messages")
    if messages is None and isinstance(row.get("prompt"), str):
        messages = [{"role": "user", "content": row["prompt"]}]
    if not isinstance(messages, list) or not messages:
        raise ProtocolError('a turn needs "messages" or "prompt"; or write "turns", a list of texts')
    if first:
        return list(messages)
    return [one for one in messages if not (isinstance(one, dict) and one.get("role") == "system")]


def said(row: Row, messages: list[Message]) -> dict[str, object]:
    """The request of a turn: the row's other keys, with all that was said up to now."""
    kept = {key: value for key, value in row.items() if key not in ("prompt", *SCRIPTS)}
    return {**kept, "messages": messages}


def proving(build: Callable[[Row], object]) -> Callable[[Row], object]:
    """Makes the requests of all turns that a row holds, to see whether it can; ProtocolError where not.

    What the first row is, one turn or a whole conversation, all rows are.
    """
    forms: list[bool] = []

    def prove(row: Row) -> object:
        forms.append(is_script(row))
        turns = script_of(row) if forms[0] else [messages_of(row, first=True)]
        return [build(said(row, turn)) for turn in turns]

    return prove


def _message(one: object) -> Message:
    if isinstance(one, str):
        return {"role": "user", "content": one}
    if isinstance(one, dict) and isinstance(one.get("role"), str) and "content" in one:
        return one
    raise ProtocolError('a turn is text, or {"role": "user", "content": "..."}')


def _shared(told: list[object]) -> list[list[Message]]:
    """What users and system say in a list of {"from", "value"}; recorded answers are left out."""
    turns: list[list[Message]] = []
    before: list[Message] = []
    for one in told:
        said_by, text = (one.get("from"), one.get("value")) if isinstance(one, dict) else (None, None)
        if not isinstance(said_by, str) or not isinstance(text, str):
            raise ProtocolError('"conversations" is a list of {"from": "human", "value": "..."}')
        if said_by in _OF_USERS:
            turns.append([*before, {"role": "user", "content": text}])
            before = []
        elif said_by == "system":
            before.append({"role": "system", "content": text})
    if not turns:
        raise ProtocolError('no turn of "conversations" is from a human')
    return turns
