"""The real mlserver with one small model: loopback, free ports, V2 over REST and gRPC, its own metrics.

Run by path with the interpreter that has mlserver, in a folder of its own. Prints `metrics at URL`, `grpc at
URL` and `listening on URL` before its model is loaded: whoever waits for readiness waits for the server's own
word.
"""

import argparse
import asyncio
import socket
import time
from pathlib import Path

import numpy as np
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.errors import InferenceError
from mlserver.handlers import custom_handler
from mlserver.settings import ModelParameters
from mlserver.types import InferenceRequest, InferenceResponse

LOADED = Path("loaded")
"""A model that is held has loaded when somebody writes this file."""
WEIGHTS = np.array([0.5, -0.25, 2.0])


class Ranker(MLModel):
    """Scores of rows of three features, by V2 and, as a bare list, at /score."""

    async def load(self) -> bool:
        if self.settings.parameters.extra["hold"]:
            await asyncio.to_thread(wait_for, LOADED)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0])
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("scores", self._scores(rows))]
        )

    @custom_handler(rest_path="/score")
    async def score(self, rows: list[list[float]]) -> list[float]:
        return [float(one) for one in self._scores(np.array(rows))]

    def _scores(self, rows: np.ndarray) -> np.ndarray:
        if rows.ndim != 2 or rows.shape[1] != len(WEIGHTS):
            raise InferenceError(f"features must be [n, {len(WEIGHTS)}], not {list(rows.shape)}")
        return rows @ WEIGHTS


def wait_for(file: Path) -> None:
    while not file.exists():
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def serve(*, hold: bool) -> None:
    http, grpc, metrics = free_port(), free_port(), free_port()
    settings = Settings(
        host="127.0.0.1",
        http_port=http,
        grpc_port=grpc,
        metrics_port=metrics,
        parallel_workers=0,
        debug=hold,  # then it logs every question for its readiness
    )
    print(f"metrics at http://127.0.0.1:{metrics}/metrics", flush=True)
    print(f"grpc at http://127.0.0.1:{grpc}", flush=True)
    print(f"listening on http://127.0.0.1:{http}", flush=True)
    parameters = ModelParameters(version="1", extra={"hold": hold})
    await MLServer(settings).start(
        [ModelSettings(name="ranker", implementation=Ranker, parameters=parameters)]
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hold", action="store_true", help="the model loads until there is a file `loaded`")
    asyncio.run(serve(hold=parser.parse_args().hold))


if __name__ == "__main__":
    main()
