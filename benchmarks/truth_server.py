"""Builds and starts servers/truth.c, the server whose every time is known, and reads its log.

    from truth_server import truth_server
    with truth_server(cpu=0, first_ms=50, gap_ms=10) as truth:
        ...  # load truth.url
        log = truth.log()
        print(log.quantile("ttft_s", 0.99), truth.summary())

Needs a C compiler (`cc`, Debian's gcc). What it answers and logs stands at the head of servers/truth.c.
"""

import json
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

SOURCE = Path(__file__).parent / "servers" / "truth.c"
ANSWER_WITHIN_S = 30.0
"""The whole log of millions of requests is one answer."""
END_WITHIN_S = 10.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Log:
    """What the server did, an entry a finished request in the order of arrival; seconds.

    `received_s` on CLOCK_MONOTONIC. `ttft_s`, `service_s`: from there to the first and the last write;
    `late_s`: how much later than meant the worst of its writes was: the server's own error.
    """

    ids: tuple[str, ...]
    received_s: Floats
    ttft_s: Floats
    service_s: Floats
    late_s: Floats
    tokens: npt.NDArray[np.int64]
    unfinished: int

    def quantile(self, name: str, q: float) -> float:
        """The smallest value with at least a share q of all at or below it."""
        return float(np.quantile(getattr(self, name), q, method="inverted_cdf"))

    def after(self, skipped_s: float) -> "Log":
        """Without the requests that came in the first `skipped_s` seconds."""
        if not len(self.received_s):
            return self
        kept = self.received_s >= self.received_s[0] + skipped_s
        names = tuple(name for name, keep in zip(self.ids, kept, strict=True) if keep)
        columns = (self.received_s, self.ttft_s, self.service_s, self.late_s, self.tokens)
        received_s, ttft_s, service_s, late_s, tokens = (column[kept] for column in columns)
        return Log(names, received_s, ttft_s, service_s, late_s, tokens, self.unfinished)


@dataclass(frozen=True, slots=True)
class Truth:
    """A running server."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def reset(self) -> None:
        """Forget the log; a stall's clock starts at the next request."""
        self._get("/truth/reset")

    def summary(self) -> dict[str, float]:
        """Requests, the server's own error in ns (late_*, turn_max_ns) and its CPU seconds so far."""
        found: dict[str, float] = json.loads(self._get("/truth/summary"))
        return found

    def count(self) -> int:
        """Requests since the last reset; cheap enough for the middle of a run."""
        return int(json.loads(self._get("/truth/count"))["requests"])

    def log(self) -> Log:
        """All requests since the last reset that were answered to the end."""
        rows = [line.split(",") for line in self._get("/truth").decode().splitlines()[1:]]
        done = [row for row in rows if row[9] == "1"]
        times = np.array([[int(cell) for cell in row[2:9]] for row in done], dtype=np.int64).reshape(-1, 7)
        received, first, last, late = times[:, 0], times[:, 2], times[:, 4], times[:, 5]
        return Log(
            ids=tuple(row[0] for row in done),
            received_s=received / 1e9,
            ttft_s=(first - received) / 1e9,
            service_s=(last - received) / 1e9,
            late_s=late / 1e9,
            tokens=times[:, 6],
            unfinished=len(rows) - len(done),
        )

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=ANSWER_WITHIN_S) as answer:
            body: bytes = answer.read()
        return body


@contextmanager
def truth_server(
    *,
    cpu: int | None = None,
    first_ms: float = 50.0,
    gap_ms: float = 10.0,
    tokens: int = 64,
    role_first: bool = False,
    service: str = "none",
    stall: str | None = None,
    seed: int = 1,
) -> Iterator[Truth]:
    """A server of its own process on core `cpu`; ended at the end of the block.

    `service`: of JSON answers: `none`, `constant:MS`, `exponential:MS`, `lognormal:MEDIAN_MS:SIGMA`,
    `bimodal:MS:MS:SHARE`. `stall`: `AT_MS:FOR_MS` after the first request. `role_first`: a chunk with a role
    and no text at once. Raises RuntimeError where there is no compiler or the server does not start.
    """
    argv = [
        "--first-ms",
        f"{first_ms:g}",
        "--gap-ms",
        f"{gap_ms:g}",
        "--tokens",
        str(tokens),
        "--seed",
        str(seed),
    ]
    argv += ["--service", service]
    argv += [*(["--cpu", str(cpu)] if cpu is not None else []), *(["--role"] if role_first else [])]
    argv += ["--stall", stall] if stall else []
    with tempfile.TemporaryDirectory(prefix="truth-") as folder:
        server = subprocess.Popen([build(Path(folder)), *argv], stdout=subprocess.PIPE)
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if not line:
                raise RuntimeError(
                    f"the truth server ended with {server.wait(END_WITHIN_S)}; options: {argv}"
                )
            yield Truth(int(line), server.pid)
        finally:
            server.terminate()
            try:
                server.wait(END_WITHIN_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            if server.stdout is not None:
                server.stdout.close()


def build(folder: Path) -> Path:
    """Compile servers/truth.c into a folder; the path of the program."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise RuntimeError("no C compiler: apt-get install gcc libc6-dev")
    program = folder / "truth"
    done = subprocess.run(
        [compiler, "-O2", "-o", program, SOURCE, "-lm"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode:
        raise RuntimeError(f"{SOURCE} does not compile:\n{done.stderr}")
    return program
