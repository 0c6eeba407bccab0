"""nftables as the faults of the network use it: one table a fault, loaded, looked at and removed whole.

Every rule of such a table asks first whether the set `armed` holds the packet's family. Its elements have a
time-out, so that the kernel lets go by itself, should everybody die who could remove the table.
"""

import re
from typing import Final

import msgspec

from workers.chaos import commands
from workers.contract.errors import FaultError

WITHIN_S: Final = 5.0
"""A table of some rules takes 4 ms; a kernel that is busy for longer is in trouble."""

LOAD: Final = ("nft", "--file", "-")
"""The command that gives the kernel a table, all of it or nothing."""

_COUNTER: Final = re.compile(r"counter (\w+) \{\s*packets (\d+) ")
_ARMED: Final = re.compile(r"set armed \{[^}]*elements = \{")
_MISSING: Final = "No such file or directory"
_WHY: Final = (
    ("Operation not permitted", "nftables needs root, or CAP_NET_ADMIN: run the worker with it"),
    ("Protocol not supported", "this kernel has no nftables (CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET)"),
    ("Address family not supported", "this kernel has no nftables (CONFIG_NF_TABLES_INET)"),
)


class Table(msgspec.Struct, frozen=True):
    """A table as the kernel has it now: whether its rules still apply, and its counters of packets."""

    armed: bool
    packets: dict[str, int]


def name_of(key: str) -> str:
    """What the table of a fault is called: by the key of its scene."""
    return f"shakeout_{key}"


def check(rules: str) -> None:
    """Have the kernel check a table without taking it. Raises FaultError, which says what is missing here."""
    ran = _nft("--check", "--file", "-", told=rules)
    if ran.code != 0:
        why = next((words for sign, words in _WHY if sign in ran.output), f"nft {ran.words()}")
        raise FaultError(f"unsupported here: {why}")


def look(name: str) -> Table | None:
    """The table as it is now, None where there is none. Raises FaultError where that cannot be told."""
    ran = _nft("list", "table", "inet", name)
    if ran.code == 0:
        packets = {counter: int(count) for counter, count in _COUNTER.findall(ran.output)}
        return Table(_ARMED.search(ran.output) is not None, packets)
    if _MISSING in ran.output:
        return None
    raise FaultError(f"table {name} cannot be looked at: nft {ran.words()}")


def remove(name: str) -> None:
    """Remove the table; one that is not there is no error. Raises FaultError."""
    ran = _nft("delete", "table", "inet", name)
    if ran.code != 0 and _MISSING not in ran.output:
        raise FaultError(f"table {name} cannot be removed: nft {ran.words()}")


def _nft(*arguments: str, told: str = "") -> commands.Ran:
    try:
        return commands.run(["nft", *arguments], within_s=WITHIN_S, told=told.encode())
    except FaultError as error:
        raise FaultError(f"unsupported here: {error} (Debian: nftables)") from error
