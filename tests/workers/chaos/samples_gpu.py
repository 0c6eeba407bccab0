"""Samples of faults done to GPUs: drivers made of C, and files that tell the truth."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sample_bench import Bench, Sample
from samples_platform import restart

from workers.chaos.processes import look


def _gpus(folder: Path) -> Path:
    """NVIDIA's libraries made of C, and behind them files that tell the truth (gpu/cuda_stub.c)."""
    folder.mkdir()
    here = Path(__file__).parent
    stub = here / "gpu" / "cuda_stub.c"
    sources = {"libnvidia-ml.so.1": [here.parent / "nvml_stub.c", stub], "libcuda.so.1": ["-DCUDA", stub]}
    for name, from_ in sources.items():
        subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / name, *from_], check=True, timeout=60)
    return folder


def on_gpus(what: str, options: dict[str, Any]) -> Callable[[Bench], Sample]:
    def make(bench: Bench) -> Sample:
        folder = _gpus(bench.folder / "nvidia")

        def holders() -> list[str]:
            pids = [file.name.partition(".")[0] for file in folder.glob(f"*.{what}")]
            return [pid for pid in pids if (one := look(int(pid))) is not None and one.state not in "ZXx"]

        return Sample(
            felt=lambda: bool(holders()),
            left=lambda: f"still on a GPU: {holders()}" if holders() else "",
            options=options,
            inside=("env", f"LD_LIBRARY_PATH={folder}"),
        )

    return make


def gpu_loss(bench: Bench) -> Sample:
    folder = _gpus(bench.folder / "nvidia")
    service = restart(bench)
    pidfile = bench.folder / "service.pid"

    def sees() -> str:
        words = Path(f"/proc/{int(pidfile.read_text())}/environ").read_text().split("\0")
        return next((word for word in words if word.startswith("CUDA_VISIBLE_DEVICES=")), "all")

    def left() -> str:
        try:
            return service.left() or ("" if sees() == "all" else f"it sees {sees()}")
        except OSError:
            return "nobody serves"

    return replace(service, left=left, inside=("env", f"LD_LIBRARY_PATH={folder}"))
