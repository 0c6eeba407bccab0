"""A record is one line of the log: what others wrote in Redis begins no other and steers no terminal."""

import logging

MOST_CHARACTERS = 4000
"""Of one message: ids and reasons may be anybody's, and as long as they like."""


def one_line(record: logging.LogRecord) -> bool:
    """A filter for handlers: the message without control characters, and no longer than is read.

    Tracebacks keep their lines.
    """
    try:
        said = record.getMessage()
    except Exception:  # noqa: BLE001  # a wrong format is logging's own to report
        return True
    if not said.isprintable() or len(said) > MOST_CHARACTERS:
        record.msg = "".join(_shown(one) for one in said[:MOST_CHARACTERS])
        record.args = ()
    return True


def to_one_line() -> None:
    """All handlers of the root logger from now on."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(one_line)


def _shown(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]
