"""`top_k`: which share of the first k expected items is among the first k of the answer, in any order."""

from collections import Counter
from typing import Annotated, ClassVar

import msgspec

from workers.regression.contract import is_number, shown


class TopKOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`overlap`: the least share of the first `k` that must be found, 0 to 1."""

    k: Annotated[int, msgspec.Meta(ge=1)]
    overlap: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0


class TopK:
    """Enough of the first k are there. A list shorter than k counts whole; repeated items count as often."""

    Options: ClassVar[type[TopKOptions]] = TopKOptions

    @staticmethod
    def check(expected: object, options: TopKOptions) -> str | None:  # noqa: ARG004  # all kinds alike
        """Only lists have first items."""
        return (
            None if isinstance(expected, list) else f"top_k compares lists, but {shown(expected)} is expected"
        )

    @staticmethod
    def compare(expected: object, answer: object, options: TopKOptions) -> str | None:
        """The share that was found, and the first item that was not."""
        if not isinstance(expected, list) or not isinstance(answer, list):
            return f"top_k compares lists: expected {shown(expected)}, got {shown(answer)}"
        wanted = expected[: options.k]
        if not wanted:
            return None
        left = Counter(_key(item) for item in answer[: options.k])
        missing = []
        for item in wanted:
            if left[_key(item)] > 0:
                left[_key(item)] -= 1
            else:
                missing.append(item)
        found = len(wanted) - len(missing)
        if found >= options.overlap * len(wanted) - 1e-9:  # 0.1 × 3 > 0.3 in floats
            return None
        return (
            f"{found} of the first {len(wanted)} are in the first {options.k}, {options.overlap:.0%} wanted; "
            f"first missing: {shown(missing[0])}"
        )


def _key(item: object) -> object:
    """What two equal JSON values share: numbers by value, true apart from 1, lists and mappings by text."""
    if is_number(item) or isinstance(item, str):
        return item
    return (type(item).__name__, msgspec.json.encode(item, order="sorted"))
