"""Tables of kinds: a name to "module:Kind", resolved on first use.

A new protocol, fault, comparator or source is one new module plus one line in its folder's table.
"""

import importlib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache

from workers.contract.errors import ContractError


class UnknownKindError(ContractError):
    """A name that no table knows; the message offers the nearest one."""


def resolve(package: str, table: Mapping[str, str], name: str) -> type:
    """Import and return the kind called `name` from a package's table.

    `table` maps each name to "module:Class", the module relative to `package`. Raises UnknownKindError
    where the table has no such name.
    """
    if name not in table:
        near = get_close_matches(name, table, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        known = ", ".join(sorted(table))
        raise UnknownKindError(f"unknown kind {name!r} in {package}{hint} (known: {known})")
    return _load(package, table[name])


@cache
def _load(package: str, place: str) -> type:
    module, _, attribute = place.partition(":")
    kind = getattr(importlib.import_module(f"{package}.{module}"), attribute)
    assert isinstance(kind, type)  # noqa: S101  # a table line that names no class is our bug
    return kind
