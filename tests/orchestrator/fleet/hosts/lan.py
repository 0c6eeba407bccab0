"""A local network on one machine: hosts that are namespaces, on one bridge.

    unshare --net python lan.py NAME=ADDRESS[+UPTIME_S] ...

Each host has its own network, name, processes, mounts and uptime; `NAME.lab` is its address everywhere. One
line of JSON on stdout says the pid of each host's first process; `nsenter` goes in by it. The network
namespace that this runs in is the switch: what passes from host to host can be dropped there by nftables, in
table `bridge lab`: between the pairs of addresses in its set `cut`; one packet in ten of those in `lossy`.

It ends when its stdin does, or with its parent, and takes every host and every process in them along.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from workers import parent

DEVICE = "eth0"
BITS = 24
UP = 'trap "" CHLD; hostname "$0"; mount --bind "$1" /etc/hosts; ip link set lo up; echo up; exec cat'
"""As the first process of a host: it reaps all that is orphaned there, and ends at the end of its stdin."""
# at priority 0 these would come after what a kernel with br_netfilter takes out of the bridge's hands
RULES = """\
table bridge lab {
  set cut { type ipv4_addr . ipv4_addr; }
  set lossy { type ipv4_addr . ipv4_addr; }
  chain forward {
    type filter hook forward priority filter;
    ip saddr . ip daddr @cut drop
    ip saddr . ip daddr @lossy numgen random mod 10 < 1 drop
  }
}
"""


@dataclass(frozen=True)
class Told:
    """One host as the command line tells it."""

    name: str
    address: str
    uptime_s: str

    @classmethod
    def read(cls, word: str) -> "Told":
        name, _, rest = word.partition("=")
        address, _, uptime_s = rest.partition("+")
        return cls(name, address, uptime_s or "0")


def hold(told: Told, names: Path) -> "subprocess.Popen[bytes]":
    """Start what holds a host up."""
    argv = [
        "setpriv", "--pdeathsig", "KILL",
        "unshare", "--net", "--uts", "--mount", "--pid", "--time", "--fork", "--mount-proc",
        "--kill-child=KILL", "--boottime", told.uptime_s, "--monotonic", told.uptime_s,
        "sh", "-c", UP, told.name, str(names),
    ]  # fmt: skip
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def first_pid(told: Told, holder: "subprocess.Popen[bytes]") -> int:
    """The pid of a host's first process, as seen from outside, once the host is up."""
    assert holder.stdout is not None
    if holder.stdout.readline() != b"up\n":
        raise SystemExit(f"host {told.name} did not come up")
    return int(Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()[0])


def ip(*lines: str, inside: tuple[str, ...] = ()) -> None:
    subprocess.run([*inside, "ip", "-batch", "-"], input="\n".join(lines).encode(), check=True)


def main() -> None:
    _, pid = parent.asked(sys.argv[1:])
    if not parent.bind(pid):
        raise SystemExit("the parent is gone already")
    told = [Told.read(word) for word in sys.argv[1:] if not word.startswith("--")]
    with TemporaryDirectory() as folder:
        names = Path(folder) / "hosts"
        lines = [f"{one.address} {one.name}.lab {one.name}" for one in told]
        names.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
        names.chmod(0o644)
        holders = [hold(one, names) for one in told]
        first = {one.name: first_pid(one, holder) for one, holder in zip(told, holders, strict=True)}
    subprocess.run(["nft", "-f", "-"], input=RULES.encode(), check=True)
    ip("link add lan type bridge", "link set lan up")
    ip(
        *[f"link add {name} type veth peer name {DEVICE} netns {pid}" for name, pid in first.items()],
        *[f"link set {name} master lan up" for name in first],
    )
    for one in told:
        inside = ("nsenter", "--net", "--target", str(first[one.name]))
        ip(f"addr add {one.address}/{BITS} dev {DEVICE}", f"link set {DEVICE} up", inside=inside)
    sys.stdout.write(json.dumps(first) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
