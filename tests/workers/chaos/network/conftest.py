"""Two hosts on one machine: network namespaces with a cable between them, and what each experiences."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

NEEDED = ("ip", "nft", "tc", "unshare", "nsenter")
HERE, THERE = "192.0.2.1", "192.0.2.2"  # TEST-NET-1 (RFC 5737)
HERE6, THERE6 = "fd00:0:0:7::1", "fd00:0:0:7::2"
WORDS_WITHIN_S = 30

# TCP: says hello and takes whatever it is sent. UDP: sends back what it is sent. Counts what it was sent.
SERVER = """
import json, selectors, socket, sys
counts = {}
watch = selectors.DefaultSelector()
for port in map(int, sys.argv[1:]):
    tcp = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    udp.bind(("::", port))
    watch.register(tcp, selectors.EVENT_READ, ("tcp", port))
    watch.register(udp, selectors.EVENT_READ, ("udp", port))
watch.register(sys.stdin, selectors.EVENT_READ, ("ask", 0))
print("up", flush=True)
while True:
    for key, _ in watch.select():
        kind, port = key.data
        if kind == "ask":
            if not sys.stdin.readline():
                sys.exit()
            print(json.dumps(counts), flush=True)
        elif kind == "tcp":
            connection, _ = key.fileobj.accept()
            connection.sendall(b"hello")
            watch.register(connection, selectors.EVENT_READ, ("taken", port))
        elif kind == "udp":
            data, sender = key.fileobj.recvfrom(4096)
            counts[f"udp {port}"] = counts.get(f"udp {port}", 0) + 1
            key.fileobj.sendto(data, sender)
        else:
            try:
                data = key.fileobj.recv(1 << 16)
            except OSError:
                data = b""
            counts[f"bytes {port}"] = counts.get(f"bytes {port}", 0) + len(data)
            if not data:
                watch.unregister(key.fileobj)
                key.fileobj.close()
"""

# One line a question: what is tried, where; how it went, as a line of JSON.
CLIENT = """
import json, socket, sys, time
def tcp(host, port):
    with socket.create_connection((host, port), 0.4) as one:
        return one.recv(5).decode()
def udp(host, port, count=1):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        one.connect((host, port))
        one.settimeout(0.4)
        refused = back = 0
        for _ in range(count):
            try:
                one.send(b"x")
            except PermissionError:
                refused += 1
                continue
            try:
                back += len(one.recv(10))
            except OSError:
                pass
        return {"refused": refused, "back": back}
def upload(host, port, size):
    with socket.create_connection((host, port), 5) as one:
        one.recv(5)
        start_s = time.monotonic()
        one.sendall(bytes(size))
        one.shutdown(socket.SHUT_WR)
        one.settimeout(60)
        one.recv(1)  # until the other side has taken all of it
        return time.monotonic() - start_s
print("up", flush=True)
for line in sys.stdin:
    what, *arguments = json.loads(line)
    try:
        came = globals()[what](*arguments)
    except OSError as error:
        came = f"{type(error).__name__}"
    print(json.dumps(came), flush=True)
"""


NEXT_LIFE = """
import sys
from pathlib import Path
from workers.chaos.ledger import reconcile
print(*(entry.by for entry in reconcile(Path(sys.argv[1]))))
"""


@dataclass
class Told:
    """A process that answers each line with a line."""

    process: "subprocess.Popen[str]"

    def ask(self, *words: object) -> object:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@dataclass
class TwoHosts:
    """`inside`: words before a command that is to run on this host. `there`: the same of the other one."""

    inside: tuple[str, ...]
    there: tuple[str, ...]
    end: ExitStack
    _client: list[Told] = field(default_factory=list)
    _server: list[Told] = field(default_factory=list)

    def run(self, *argv: str) -> str:
        """What a command on this host says."""
        return subprocess.run(
            [*self.inside, *argv], check=True, capture_output=True, text=True, timeout=30
        ).stdout

    def next_life(self, ledger: Path) -> str:
        """What a worker does as it starts on this host: who has undone what it found."""
        return self.run(sys.executable, "-c", NEXT_LIFE, str(ledger)).strip()

    def tables(self) -> str:
        """What nftables of this host's kernel hold."""
        return self.run("nft", "list", "ruleset")

    def start(self, inside: tuple[str, ...], code: str, *arguments: str) -> Told:
        process = self.end.enter_context(
            subprocess.Popen(
                [*inside, sys.executable, "-c", code, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        self.end.callback(process.kill)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return Told(process)

    def serve(self) -> Told:
        """The other host's services on ports 8000, 8001 and 6379; one for all tests."""
        if not self._server:
            self._server.append(self.start(self.there, SERVER, "8000", "8001", "6379"))
        return self._server[0]

    def counts(self) -> dict[str, int]:
        """What the other host's services were sent so far."""
        counted = self.serve().ask()
        assert isinstance(counted, dict)
        return counted

    def tcp(self, port: int, host: str = THERE) -> bool:
        """Whether a client here is greeted over there."""
        return self._asked("tcp", host, port) == "hello"

    def udp(self, port: int, host: str = THERE, count: int = 1) -> dict[str, int]:
        """How many packets the kernel refused to send, and how many came back."""
        came = self._asked("udp", host, port, count)
        assert isinstance(came, dict)
        return came

    def upload_s(self, port: int, size: int) -> float:
        """How long the other host takes to have so many bytes."""
        came = self._asked("upload", THERE, port, size)
        assert isinstance(came, float)
        return came

    def _asked(self, *words: object) -> object:
        self.serve()
        if not self._client:
            self._client.append(self.start(self.inside, CLIENT))
        return self._client[0].ask(*words)


def _namespace(end: ExitStack) -> int:
    """The pid of a process in a network of its own; it ends with its stdin."""
    process = end.enter_context(
        subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    end.callback(process.kill)
    assert process.stdout is not None
    if process.stdout.readline() != "up\n":
        assert process.stderr is not None
        pytest.skip(f"this kernel gives no network of one's own: {process.stderr.readline().strip()}")
    return process.pid


@pytest.fixture(scope="module")
def hosts() -> Iterator[TwoHosts]:
    """This host and another one; skips where the kernel, or a missing program, does not allow it."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        pytest.skip(
            f"networks of one's own need {', '.join(missing)} (Debian: iproute2, nftables, util-linux)"
        )
    if os.geteuid() != 0:
        pytest.skip("networks of one's own need root")
    with ExitStack() as end:
        here, there = _namespace(end), _namespace(end)
        hosts = TwoHosts(_into(here), _into(there), end)
        hosts.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", str(there))
        for inside, four, six in ((hosts.inside, HERE, HERE6), (hosts.there, THERE, THERE6)):
            for words in (
                f"addr add {four}/24 dev eth0",
                f"addr add {six}/64 dev eth0 nodad",
                "link set eth0 up",
            ):
                subprocess.run([*inside, "ip", *words.split()], check=True, timeout=30)
        yield hosts


def _into(pid: int) -> tuple[str, ...]:
    return ("nsenter", "--target", str(pid), "--net", "--")
