"""Samples of faults done by commands and by a platform's own API."""

import os
import sys
from pathlib import Path

from sample_bench import Bench, Sample

from workers.chaos.contract import HostRules, Match
from workers.chaos.processes import look


def _listed(folder: Path, **scripts: str) -> HostRules:
    """Commands in a folder that the worker lists."""
    folder.mkdir()
    for name, line in scripts.items():
        file = folder / name
        file.write_text(f"#!/bin/sh\n{line}\n")
        file.chmod(0o700)
    return HostRules(worker="w1", user_code=(str(folder),))


def command(bench: Bench) -> Sample:
    broken = bench.folder / "broken"
    rules = _listed(
        bench.folder / "listed", begin=f"touch {broken}", tell=f"test -e {broken}", end=f"rm -f {broken}"
    )
    return Sample(
        broken.exists,
        lambda: "it is broken" if broken.exists() else "",
        options={"inject": ["begin"], "verify": ["tell"], "revert": ["end"]},
        order={"rules": rules},
    )


_PLATFORM = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
broken = Path(sys.argv[1])
class Api(BaseHTTPRequestHandler):
    def do_GET(self):
        self.say(200 if broken.exists() else 404)
    def do_PUT(self):
        broken.touch()
        self.say(201)
    def do_DELETE(self):
        broken.unlink(missing_ok=True)
        self.say(200)
    def say(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
print(server.server_port, flush=True)
server.serve_forever()
"""


def http(bench: Bench) -> Sample:
    broken = bench.folder / "broken"
    url = f"http://127.0.0.1:{bench.orphan(_PLATFORM, str(broken)).words}/fault"
    calls = {"inject": "PUT", "verify": "GET", "revert": "DELETE"}
    return Sample(
        broken.exists,
        lambda: "it is broken" if broken.exists() else "",
        options={step: {"method": method, "url": url} for step, method in calls.items()},
    )


# It ends with these tests, whoever has started it.
_SERVICE = """
import os, sys, time
from pathlib import Path
pidfile, tests = Path(sys.argv[1]), int(sys.argv[2])
half = pidfile.with_suffix(".half")
half.write_text(str(os.getpid()))
half.replace(pidfile)
print("up", flush=True)
until_s = time.monotonic() + 120
while os.path.exists(f"/proc/{tests}") and time.monotonic() < until_s:
    time.sleep(0.2)
"""


def restart(bench: Bench) -> Sample:
    pidfile, code = bench.folder / "service.pid", bench.folder / "service.py"
    code.write_text(_SERVICE)
    bench.orphan(_SERVICE, str(pidfile), str(os.getpid()))
    first = int(pidfile.read_text())
    start = f"setsid {sys.executable} {code} {pidfile} {os.getpid()} >/dev/null 2>&1 &"

    def serves() -> bool:
        process = look(int(pidfile.read_text()))
        return process is not None and process.state not in "ZXx" and str(pidfile) in process.argv

    return Sample(
        felt=lambda: look(first) is None or not serves(),
        left=lambda: "" if serves() else "nobody serves",
        match=Match(pidfile=str(pidfile)),
        options={"start": ["start"]},
        order={"rules": _listed(bench.folder / "listed", start=start)},
    )
