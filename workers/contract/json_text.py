"""Read JSON that others wrote: strict and fast first, then with the leniencies that real servers need."""

import json

import msgspec


def decode(text: bytes | str) -> object:
    """Decode one JSON value; NaN, Infinity and lone surrogates are accepted, as Python's json does.

    Raises ValueError, in plain words with the place, for anything else that is not JSON (broken UTF-8
    and nesting beyond the interpreter's depth included).
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_leniently(text)


def _decode_leniently(text: bytes | str) -> object:
    try:
        # without the end of its line, so that a row that breaks off does so in its own line, not in a second
        return json.loads((text if isinstance(text, str) else text.decode("utf-8")).rstrip())
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}" if error.lineno > 1 else f"column {error.colno}"
        what = f"{error.msg} at {place}" if text.strip() else "it is empty"
        raise ValueError(f"not JSON: {what}") from error
    except RecursionError as error:
        raise ValueError("not readable: nested too deeply") from error
