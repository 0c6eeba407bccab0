"""One fault of a chaos activity, as its spec says it: what, to what, when, for how long."""

from typing import Any

import msgspec


class FaultStep(msgspec.Struct, frozen=True):
    """One fault of an activity: `at_s` after the phase's start, held for `for_s` (0: one-shot).

    `match` as in the campaign file; None: the demo target's process on this host, if the fault needs one.
    `seed`: of its random choices. `after`: which of the activity's steps has to be over before; None: none.
    `intensity`: the share of its strength at which the options have it.
    """

    fault: str
    options: dict[str, Any]
    match: dict[str, Any] | None
    at_s: float
    for_s: float
    seed: int = 0
    after: int | None = None
    intensity: float = 1.0
