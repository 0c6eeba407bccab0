"""What GET /metrics tells, in Prometheus' text format."""

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Counts:
    """Counted since the start."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)  # by route and status
    disconnects: int = 0
    tokens: int = 0
    started: float = field(default_factory=time.time)


def render(counts: Counts, *, running: int, waiting: int) -> bytes:
    """All metrics as text. `running` and `waiting` also bear vLLM's names, so that its mappings fit."""
    lines = [
        *_one("process_resident_memory_bytes", "gauge", resident_bytes()),
        *_one("process_open_fds", "gauge", open_descriptors()),
        *_one("process_cpu_seconds_total", "counter", time.process_time()),
        *_one("process_start_time_seconds", "gauge", counts.started),
    ]
    for prefix in ("demo", "vllm"):
        lines += _one(f"{prefix}:num_requests_running", "gauge", running)
        lines += _one(f"{prefix}:num_requests_waiting", "gauge", waiting)
    lines += _one("demo:generation_tokens_total", "counter", counts.tokens)
    lines += _one("demo:disconnects_total", "counter", counts.disconnects)
    lines.append("# TYPE demo:requests_total counter")
    for (route, status), count in sorted(counts.requests.items()):
        lines.append(f'demo:requests_total{{route="{route}",status="{status}"}} {count}')
    return ("\n".join(lines) + "\n").encode()


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES


def open_descriptors() -> int:
    """Open files of this process, without the one that looks."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1


def _one(name: str, kind: str, value: float) -> list[str]:
    return [f"# TYPE {name} {kind}", f"{name} {value}"]
