"""Rows without some of their features: null, or left out."""

import copy
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from workers.contract.errors import FaultError

_NOT_FEATURES = frozenset({"id", "parameters", "outputs", "signature_name"})
_MOST_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Spoilt:
    """How many features of a request were made null, and how many left out."""

    nulled: int
    dropped: int


def check_features(rows: Sequence[Mapping[str, Any]], *, names: Sequence[str]) -> None:
    """Raise FaultError where a row has none of these features (of any, without names), or no row has one."""
    known: set[str] = set()
    for number, row in enumerate(rows, 1):
        found = _names_in(row)
        known.update(found)
        if not found or (names and not set(names).intersection(found)):
            which = f"no features {', '.join(names)}".rstrip()
            raise FaultError(f"row {number} of the fault has {which}; there are: {_shown(found)}")
    if unknown := [name for name in names if name not in known]:
        raise FaultError(f"no row of the fault has features {', '.join(unknown)}; there are: {_shown(known)}")


def spoil(
    row: dict[str, Any], *, names: Sequence[str], share: float, how: str, random: Random
) -> tuple[dict[str, Any], Spoilt]:
    """A row without the features of these names, or without a drawn share of all of them, at least one.

    It is one that `check_features` lets through.
    """
    row = copy.deepcopy(row)
    found = _names_in(row)
    if names:
        wanted = [name for name in names if name in found]
    else:
        wanted = random.sample(found, max(1, math.floor(share * len(found))))
    nulled = 0
    for name in wanted:
        null = how == "null" or (how == "either" and random.random() < 0.5)
        nulled += null
        _spoil_one(row, name, null=null)
    return row, Spoilt(nulled, len(wanted) - nulled)


def _shown(found: Collection[str]) -> str:
    return ", ".join(sorted(found)[:_MOST_SHOWN]) or "none"


def _names_in(row: Mapping[str, Any]) -> list[str]:
    inputs, instances = row.get("inputs"), row.get("instances")
    if isinstance(inputs, list):
        return [str(one["name"]) for one in inputs if isinstance(one, dict) and "name" in one]
    if isinstance(inputs, dict):
        return list(inputs)
    if isinstance(instances, list):
        return list(dict.fromkeys(key for one in instances if isinstance(one, dict) for key in one))
    return [key for key in row if key not in _NOT_FEATURES]


def _spoil_one(row: dict[str, Any], name: str, *, null: bool) -> None:
    inputs, instances = row.get("inputs"), row.get("instances")
    if isinstance(inputs, list):
        for one in inputs:
            if isinstance(one, dict) and one.get("name") == name:
                data = one.get("data")
                one["data"] = [None] * max(1, len(data) if isinstance(data, list) else 0)
        if not null:
            row["inputs"] = [one for one in inputs if not (isinstance(one, dict) and one.get("name") == name)]
        return
    holders = [inputs] if isinstance(inputs, dict) else instances if isinstance(instances, list) else [row]
    for holder in holders:
        if isinstance(holder, dict) and name in holder:
            if null:
                holder[name] = None
            else:
                del holder[name]
