"""The real Triton Inference Server with three small models: loopback, free ports, its own metrics.

Run by path with the interpreter that has nvidia-pytriton (Debian's python3: its binary is built for that), in
a folder of its own. Prints `metrics at URL` and `listening on URL` once all models are loaded.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

GAP_S = 0.02
"""Between two tokens, and before the first."""


@batch
def doubled(features: np.ndarray) -> dict[str, np.ndarray]:
    """Each number twice, and of each row the sum."""
    sums = features.sum(axis=1, keepdims=True).astype(np.float32)
    return {"doubled": features * 2, "sums": sums}


@batch
def echoed(halves: np.ndarray) -> dict[str, np.ndarray]:
    """FP16 as it came."""
    return {"echoed": halves}


def spoken(requests: list[Any]) -> Iterator[list[dict[str, np.ndarray]]]:
    """The words of the text, repeated up to `max_tokens`, one an answer."""
    data = requests[0].data
    words = data["text_input"].ravel()[0].decode().split()
    for number in range(int(data["max_tokens"].ravel()[0])):
        time.sleep(GAP_S)
        word = ("" if number == 0 else " ") + words[number % len(words)]
        yield [{"text_output": np.array([[word.encode()]], dtype=object)}]


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def main() -> None:
    http, grpc, metrics = free_ports(3)
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=http,
        grpc_address="127.0.0.1",
        grpc_port=grpc,
        metrics_port=metrics,
    )
    numbers, text = (np.float32, (-1,)), (bytes, (1,))
    with Triton(config=config, workspace=str(Path.cwd() / "models")) as triton:
        triton.bind(
            "ranker",
            infer_func=doubled,
            inputs=[Tensor(name="features", dtype=numbers[0], shape=numbers[1])],
            outputs=[
                Tensor(name="doubled", dtype=numbers[0], shape=numbers[1]),
                Tensor(name="sums", dtype=np.float32, shape=(1,)),
            ],
        )
        triton.bind(
            "halves",
            infer_func=echoed,
            inputs=[Tensor(name="halves", dtype=np.float16, shape=(-1,))],
            outputs=[Tensor(name="echoed", dtype=np.float16, shape=(-1,))],
        )
        triton.bind(
            "speaker",
            infer_func=spoken,
            inputs=[
                Tensor(name="text_input", dtype=text[0], shape=text[1]),
                Tensor(name="max_tokens", dtype=np.int32, shape=(1,)),
            ],
            outputs=[Tensor(name="text_output", dtype=text[0], shape=text[1])],
            config=ModelConfig(max_batch_size=1, decoupled=True),
        )
        triton.run()
        print(f"metrics at http://127.0.0.1:{metrics}/metrics", flush=True)
        print(f"listening on http://127.0.0.1:{http}", flush=True)
        while True:
            time.sleep(1)


if __name__ == "__main__":
    main()
