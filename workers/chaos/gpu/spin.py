"""A process of our own that keeps GPUs at work for a share of the time.

Arguments: FOLDER SHARE BUS..., BUS as NVML writes it. Each turn it starts a short kernel on every GPU, waits
for all of them, and rests. How many have ended stands in a file of FOLDER. A kernel is short, so that a kill
ends it at once and the target's own work gets its turns.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from workers.chaos.gpu import cuda
from workers.chaos.gpu.cuda import Driver, Kernel
from workers.chaos.lifeline import stand_by
from workers.contract.errors import FaultError

COUNT = "kernels-ended"
KERNEL_S = 0.005
"""How long a kernel is meant to take: far longer than its start, far shorter than anybody's patience."""

_BLOCKS = 16  # on each processor of the GPU: enough to fill it
_FIRST_ROUNDS = 1 << 12
_MOST_ROUNDS = 1 << 28
_TELLS_EVERY_S = 0.2
# Any GPU since Maxwell: the driver compiles it for the one that is there. 64 multiply-adds a round.
_STEPS = "\n".join(["    fma.rn.f32 %f1, %f1, %f2, %f1;"] * 64)
PTX = f"""
.version 6.0
.target sm_50
.address_size 64
.visible .entry spin(.param .u64 output, .param .u32 rounds)
{{
    .reg .pred %p1;
    .reg .b32 %r<3>;
    .reg .f32 %f<3>;
    .reg .b64 %rd<3>;
    ld.param.u64 %rd1, [output];
    ld.param.u32 %r1, [rounds];
    cvta.to.global.u64 %rd2, %rd1;
    mov.f32 %f1, 0f3F800000;
    mov.f32 %f2, 0f33D6BF95;
    mov.u32 %r2, 0;
AGAIN:
{_STEPS}
    add.u32 %r2, %r2, 1;
    setp.lt.u32 %p1, %r2, %r1;
    @%p1 bra AGAIN;
    st.global.f32 [%rd2], %f1;
    ret;
}}
"""


def main() -> int:
    """Find the GPUs, wait for the word, work until ended; 1 with words where CUDA refuses."""
    try:
        with cuda.quietly():
            driver = cuda.load()
            places = cuda.places(driver)
        folder, share, *buses = stand_by()
        kernels = [
            cuda.build(driver, cuda.place_of(bus, places), PTX.encode(), name=b"spin") for bus in buses
        ]
        _work(driver, kernels, share=float(share), count=Path(folder) / COUNT)
    except FaultError as error:
        print(error, file=sys.stderr)
    return 1


def _work(driver: Driver, kernels: Sequence[Kernel], *, share: float, count: Path) -> None:
    """Turn after turn, for ever; a turn's length follows what the last one took."""
    rounds, ended, told_s = _FIRST_ROUNDS, 0, 0.0
    while True:
        start_s = time.monotonic()
        for kernel in kernels:
            cuda.launch(driver, kernel, rounds=rounds, blocks=_BLOCKS)
        for kernel in kernels:
            cuda.await_end(driver, kernel)
        took_s = time.monotonic() - start_s
        rounds = next_rounds(rounds, took_s)
        ended += len(kernels)
        if time.monotonic() - told_s > _TELLS_EVERY_S:
            told_s = time.monotonic()
            count.write_text(f"{ended}\n", encoding="ascii")
        time.sleep(took_s * (1 - share) / share)


def next_rounds(rounds: int, took_s: float) -> int:
    """How many rounds the next kernel does, so that it takes about KERNEL_S; at most doubled or halved."""
    factor = min(2.0, max(0.5, KERNEL_S / max(took_s, 1e-9)))
    return min(_MOST_ROUNDS, max(1, round(rounds * factor)))


if __name__ == "__main__":
    sys.exit(main())
