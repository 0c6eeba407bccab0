"""Traffic control as the netem fault uses it: one queue of ours on one device, whole or not at all.

The queue is HTB: what carries our class in its priority goes through it and what hangs below, all else passes
untouched. So nothing is delayed but what a table of nftables marks, and nothing any more once that table is
gone or has outlived its time.
"""

import re
from collections.abc import Sequence
from typing import Final

from workers.chaos import commands
from workers.contract.errors import FaultError

LOAD: Final = ("tc", "-batch", "-")
"""The command that makes a queue, line by line."""
WITHIN_S: Final = 5.0
_CLASS: Final = 2  # the minor number of our only class
_WIDE: Final = "100gbit"  # no limit: faster than any device of a host that serves models
_ROOT: Final = re.compile(r"^qdisc (?P<kind>\S+) (?P<handle>\w+): dev (?P<device>\S+) root", re.MULTILINE)
_SENT: Final = re.compile(r"Sent \d+ bytes (\d+) pkt")


def major(key: str) -> int:
    """The major number of a fault's queue, by the key of its scene; 0 and 0xffff are the kernel's own."""
    return int(key, 16) % 0xEFFF + 1


def class_of(key: str) -> str:
    """Our class as a packet's priority: what nftables writes there."""
    return f"0x{major(key):04x}{_CLASS:04x}"


def queue(device: str, key: str, *, rate: str, netem: Sequence[str]) -> str:
    """The lines of `tc -batch` that make the queue. `rate`: of HTB, or ""; `netem`: its words, or none."""
    handle = f"{major(key):x}"
    speed = f"rate {rate or _WIDE} quantum 60000"
    lines = [
        f"qdisc add dev {device} root handle {handle}: htb default 0",
        f"class add dev {device} parent {handle}: classid {handle}:{_CLASS} htb {speed}",
    ]
    if netem:
        lines.append(f"qdisc add dev {device} parent {handle}:{_CLASS} netem {' '.join(netem)}")
    return "\n".join(lines) + "\n"


def check(device: str, lines: str) -> None:
    """Try the queue in a network that exists for a moment only. Raises FaultError: what is missing here."""
    _refuse_taken(device)
    tried = lines.replace(f" dev {device} ", " dev lo ")
    ran = commands.run(["unshare", "--net", "tc", "-batch", "-"], within_s=WITHIN_S, told=tried.encode())
    if ran.code == 0 or "unshare failed" in ran.output:  # then the first try that counts is the real one
        return
    if "qdisc kind is unknown" in ran.output:
        missing = "sch_netem" if "netem" in lines and _has_htb() else "sch_htb"
        hint = ": of netem's options only `rate` works without it" if missing == "sch_netem" else ""
        raise FaultError(f"unsupported here: this kernel has no {missing}{hint}")
    if "ermitted" in ran.output:
        raise FaultError("unsupported here: tc needs root, or CAP_NET_ADMIN: run the worker with it")
    raise FaultError(f"tc does not take it: {ran.words()}")


def devices(key: str) -> list[str]:
    """The devices that have this fault's queue now. Raises FaultError."""
    ran = _tc("qdisc", "show")
    if ran.code != 0:
        raise FaultError(f"tc qdisc show {ran.words()}")
    handle = f"{major(key):x}"
    return [found["device"] for found in _ROOT.finditer(ran.output) if _is_ours(found, handle)]


def sent(device: str, key: str) -> int:
    """Packets that have left by our class. Raises FaultError."""
    ran = _tc("-statistics", "class", "show", "dev", device, "classid", f"{major(key):x}:{_CLASS}")
    found = _SENT.search(ran.output)
    return int(found[1]) if found else 0


def remove(key: str) -> None:
    """Remove the queue from whatever device has it: that has its own default again. Raises FaultError."""
    for device in devices(key):
        ran = _tc("qdisc", "delete", "dev", device, "root", "handle", f"{major(key):x}:")
        if ran.code != 0 and device in devices(key):
            raise FaultError(f"the queue on {device} cannot be removed: tc {ran.words()}")


def device_towards(addresses: Sequence[str]) -> str:
    """The device by which packets to these leave; without any, that of the default route.

    Raises FaultError where there is none, or not one alone: a queue is on one device.
    """
    wanted = [f"route get {address}" for address in addresses] or ["route show default"]
    ran = commands.run(
        ["ip", "-force", "-oneline", "-batch", "-"], within_s=WITHIN_S, told="\n".join(wanted).encode()
    )
    found: list[str] = list(dict.fromkeys(re.findall(r"\bdev (\S+)", ran.output)))
    if not found:
        where = ", ".join(addresses[:4]) or "other hosts"
        raise FaultError(f"no device leads to {where}: name it by `device` ({ran.words()})")
    if len(found) > 1 and addresses:
        raise FaultError(
            f"the hosts are reached by several devices ({', '.join(found)}): a netem is on one; name it by "
            "`device`, with the hosts that it leads to, and another netem for the others"
        )
    return found[0]


def _is_ours(found: "re.Match[str]", handle: str) -> bool:
    return found["kind"] == "htb" and found["handle"] == handle


def _refuse_taken(device: str) -> None:
    """A device whose queue somebody has made would not get it back."""
    ran = _tc("qdisc", "show", "dev", device)
    if ran.code != 0:
        raise FaultError(f"device {device}: {commands.excerpt(ran.output)}")
    for found in re.finditer(r"^qdisc (\S+) (\w+): root", ran.output, re.MULTILINE):
        if found[2] != "0":  # the kernel's own default
            raise FaultError(
                f"refused: {device} has a queue that somebody made ({found[1]} {found[2]}:), "
                "which a revert could not bring back"
            )


def _has_htb() -> bool:
    told = b"qdisc add dev lo root handle 1: htb default 0\n"
    return commands.run(["unshare", "--net", "tc", "-batch", "-"], within_s=WITHIN_S, told=told).code == 0


def _tc(*arguments: str, told: str = "") -> commands.Ran:
    try:
        return commands.run(["tc", *arguments], within_s=WITHIN_S, told=told.encode())
    except FaultError as error:
        raise FaultError(f"unsupported here: {error} (Debian: iproute2)") from error
