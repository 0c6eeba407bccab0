"""Tables of kinds: a name to "module:Kind", resolved on first use.

A new protocol, fault, comparator or source is one new module plus one line in its folder's table.
"""

import importlib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from workers.contract.errors import ContractError


class UnknownKindError(ContractError):
    """A name that no table knows; the message offers the nearest one."""


def resolve(package: str, table: Mapping[str, str], name: str) -> Any:
    """Import and return the kind called `name` from a package's table.

    `table` maps each name to "module:NAME", the module relative to `package`. Raises UnknownKindError
    where the table has no such name.
    """
    if name not in table:
        near = get_close_matches(name, table, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        known = ", ".join(sorted(table))
        raise UnknownKindError(f"unknown kind {name!r} in {package}{hint} (known: {known})")
    return _load(package, table[name])


@cache
def _load(package: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(f"{package}.{module}"), attribute)
