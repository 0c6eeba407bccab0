"""The ways in which requests can be broken: their names, which options and reports use."""

from typing import Final

BROKEN_JSON: Final = "broken-json"
WRONG_TYPES: Final = "wrong-types"
BAD_UNICODE: Final = "bad-unicode"
EMPTY: Final = "empty"
DEEP: Final = "deep"
CUT: Final = "cut"
KINDS: Final = (BROKEN_JSON, WRONG_TYPES, BAD_UNICODE, EMPTY, DEEP, CUT)
"""All of them; a request that is cut is whole, but does not come whole."""
