"""What a check found: fine, worth a look, or in the way; what, where, and what to do."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]
Area = Literal["broker", "fleet", "host"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer of `doctor`; the field names are keys of `doctor --json`.

    `where`: worker, host or address that it is about, "" where that is plain. `do`: what to do about it, ""
    where nothing has to be done.
    """

    area: Area
    check: str
    level: Level
    what: str
    where: str = ""
    do: str = ""
