"""What clients of ours are aimed at: a target as this worker reaches it, its secrets filled in.

It goes from the worker to the process that does the fault, through memory alone: it stands in no ledger, no
command line and no log.
"""

from typing import Any

import msgspec


class AimTls(msgspec.Struct, frozen=True):
    """TLS of a target; files by their paths on this machine, "" where there is none."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    verify: bool = True
    server_name: str | None = None


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """One target and what may be sent there.

    `options`: the protocol's own. `per_s`: the most that may be sent, None for any; `whose`: that ceiling in
    words. `files`: as the fault's options name them -> path on this machine. `campaign`, `activity`,
    `number`: whose requests they are; the k-th of shard i of n has the index `first` + k n + i, as engines
    count. `id_header`: whether a request says so. `shown`: where it is, in words for people; "" where a
    secret says so.
    """

    name: str
    protocol: str
    url: str
    options: dict[str, Any] = {}
    headers: dict[str, str] = {}
    timeout_s: float = 60.0
    tls: AimTls = AimTls()
    per_s: float | None = None
    whose: str = ""
    files: dict[str, str] = {}
    campaign: str = ""
    activity: str = ""
    number: int = 1
    shard: int = 0
    of: int = 1
    first: int = 0
    id_header: bool = True
    shown: str | None = None

    def __repr__(self) -> str:
        return f"Aim({self.name})"
