"""Samples of faults done to packets, and by proxies before a service."""

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from sample_bench import Bench, Sample

# One network of its own, whose only neighbour answers nothing: what comes of its packets stands in a file.
_SENDER = """
import ctypes, os, socket, subprocess, sys, time
from pathlib import Path
if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):  # CLONE_NEWNET
    raise OSError(ctypes.get_errno(), "unshare")
for words in ("link set lo up", "link add out type veth peer name wire", "addr add 192.0.2.1/24 dev out",
              "link set out up", "link set wire up"):
    subprocess.run(["ip", *words.split()], check=True)
print("up", flush=True)
sender, there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), Path(sys.argv[1])
while True:
    try:
        sender.sendto(b"x", ("192.0.2.2", 9))
        came = "sent"
    except PermissionError:
        came = "refused"
    half = there.with_suffix(".half")
    half.write_text(came)
    half.replace(there)
    time.sleep(0.02)
"""


def packets(options: dict[str, Any]) -> Callable[[Bench], Sample]:
    """Packets of a process in a network of its own: refused by the kernel while the fault is in effect."""

    def make(bench: Bench) -> Sample:
        came = bench.folder / "came"
        inside = ("nsenter", "--target", str(bench.orphan(_SENDER, str(came)).pid), "--net", "--")

        def left() -> str:
            rules, queues = _said(*inside, "nft", "list", "ruleset"), _said(*inside, "tc", "qdisc", "show")
            queue = "its queue" if "htb" in queues else ""
            refused = "a packet is refused" if came.exists() and came.read_text() == "refused" else ""
            return "; ".join(filter(None, (rules, queue, refused)))

        def felt() -> bool:
            if "rate" in options:
                return "htb" in _said(*inside, "tc", "qdisc", "show")
            return came.exists() and came.read_text() == "refused"

        return Sample(felt, left, options=options, inside=inside)

    return make


def _said(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30).stdout.strip()


def no_network() -> str:
    """Why no process can have a network of its own here, with rules and queues; empty where it can."""
    if missing := [name for name in ("unshare", "nsenter", "ip", "nft", "tc") if shutil.which(name) is None]:
        return f"needs {', '.join(missing)}"
    tried = ["unshare", "--net", "sh", "-c", "nft list ruleset && tc qdisc add dev lo root handle 1: htb"]
    return subprocess.run(tried, capture_output=True, text=True, check=False, timeout=30).stderr.strip()


PROXY = "import sys; from workers.proxy.__main__ import main; sys.exit(main())"
ECHO = """
import socket, threading
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
def echo(client):
    while data := client.recv(100): client.sendall(data)
while True: threading.Thread(target=echo, args=(listening.accept()[0],), daemon=True).start()
"""
STORE = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Store(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "8")
        self.end_headers()
        self.wfile.write(b'{"a": 1}')
    def log_message(self, *_): pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
print(server.server_port, flush=True)
server.serve_forever()
"""


def _proxy(bench: Bench, upstream: str, speaks: str = "") -> tuple[int, dict[str, Any]]:
    """The port of a proxy that stands before an upstream, and the options that name both."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{bench.orphan(upstream).words}"
    folder = bench.folder / "proxies" / str(port)
    folder.mkdir(parents=True, mode=0o700)
    order = {"bind": "127.0.0.1", "port": port, "upstream": address, "speaks": speaks}
    (folder / "order.json").write_text(json.dumps(order))
    assert bench.orphan(PROXY, str(folder)).words == "ready"
    return port, {"listen": port, "upstream": address}


def slow_proxy(bench: Bench) -> Sample:
    port, options = _proxy(bench, ECHO)

    def round_trip_s() -> float:
        began_s = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
            line.sendall(b"x")
            line.recv(1)
        return time.monotonic() - began_s

    return Sample(
        felt=lambda: round_trip_s() >= 0.4,
        left=lambda: "" if (took_s := round_trip_s()) < 0.4 else f"a round trip takes {took_s:.3f} s",
        options={**options, "latency": "400ms"},
    )


def empty_dependency(bench: Bench) -> Sample:
    port, options = _proxy(bench, STORE, speaks="http")

    def answered() -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
            found: bytes = answer.read()
            return found

    return Sample(
        felt=lambda: answered() == b"{}",
        left=lambda: "" if answered() == b'{"a": 1}' else "its answers are still empty",
        options={**options, "answer": "empty"},
    )
