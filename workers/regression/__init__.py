"""Comparators: whether an answer's field is what a golden set expects, and if not, why.

A new comparator is one module plus one line here; workers/regression/contract.py says what the module owes.
"""

from collections.abc import Mapping
from typing import Final

TABLE: Final[Mapping[str, str]] = {
    "exact": "exact:Exact",
    "close": "close:Close",
    "subset": "subset:Subset",
    "regex": "regex:Regex",
    "json_schema": "json_schema:JsonSchema",
    "top_k": "top_k:TopK",
}
