"""GPUs made of C: NVIDIA's two libraries, whose memory and work stand in files that tests can read."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from workers.chaos.contract import FaultOrder
from workers.chaos.processes import look
from workers.chaos.run import plan
from workers.contract.errors import FaultError

HERE = Path(__file__).parent
NVML = HERE.parent.parent / "nvml_stub.c"


@dataclass(frozen=True, slots=True)
class Gpus:
    """Two GPUs; `folder` holds the libraries and all that stands behind them."""

    folder: Path

    def behave(self, mode: str) -> None:
        """From now on the drivers behave so: one of the words of cuda_stub.c."""
        (self.folder / "mode").write_text(mode)

    def held_mib(self) -> dict[int, int]:
        """MiB that living processes hold, by GPU: the silicon's own truth."""
        found = {0: 0, 1: 0}
        for file in self.folder.glob("*.bytes"):
            pid, gpu, _ = file.name.split(".")
            process = look(int(pid))
            if process is not None and process.state not in "ZX":
                found[int(gpu)] += int(file.read_text() or 0) >> 20
        return found

    def works(self) -> set[int]:
        """GPUs on which a living process has begun a kernel."""
        return {
            int(file.name.split(".")[1])
            for file in self.folder.glob("*.work")
            if (process := look(int(file.name.split(".")[0]))) is not None and process.state not in "ZX"
        }


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both libraries, compiled; skips where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler for the stub of NVIDIA's libraries")
    folder = tmp_path_factory.mktemp("nvidia")
    stub = HERE / "cuda_stub.c"
    shared = [compiler, "-shared", "-fPIC", "-o"]
    subprocess.run([*shared, folder / "libnvidia-ml.so.1", NVML, stub], check=True, timeout=60)
    subprocess.run([*shared, folder / "libcuda.so.1", "-DCUDA", stub], check=True, timeout=60)
    return folder


@pytest.fixture
def gpus(libraries: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gpus:
    """GPUs of one's own, found by every process that is started from here on."""
    folder = tmp_path / "nvidia"
    shutil.copytree(libraries, folder)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return Gpus(folder)


@pytest.fixture
def refusal(make_order: Callable[..., FaultOrder], tmp_path: Path) -> Callable[..., str]:
    """Plan a fault that cannot be done; why it cannot."""

    def order(fault: str, **options: object) -> str:
        with pytest.raises(FaultError) as refused:
            plan(make_order(None, fault=fault, options=options), ledger=tmp_path / "ledger")
        return str(refused.value)

    return order
