"""Inference over gRPC under plain Locust: `locust -f locustfiles/kserve_v2_grpc.py --host http://HOST:PORT`.

The model is taken from the environment variable SHAKEOUT_MODEL (default `demo`), the input's name from
SHAKEOUT_INPUT (default `features`). Calls are made and answers read as campaigns do, one at a time on a
user's own HTTP/2 connection; response times are Locust's own: closed loop, from the send.
"""

import os

from locust import User, between, task

from workers.engine.plain import PlainTarget
from workers.protocols.select import make_protocol

NAME = os.environ.get("SHAKEOUT_INPUT", "features")
ROW = {"inputs": [{"name": NAME, "shape": [1, 3], "datatype": "FP32", "data": [0.2, 1.0, 7.5]}]}
TIMEOUT_S = 60.0


class KserveV2GrpcUser(User):  # type: ignore[misc, unused-ignore]  # locust's types differ by version
    """One user that asks for an inference, reads the answer, and asks again."""

    wait_time = between(0.05, 0.2)

    def on_start(self) -> None:
        """Open this user's own connection."""
        target = {"model": os.environ.get("SHAKEOUT_MODEL", "demo")}
        protocol = make_protocol("kserve-v2-grpc", target, seed=0, for_regression=False)
        self._target = PlainTarget(
            str(self.environment.host or self.host), protocol=protocol, timeout_s=TIMEOUT_S
        )

    @task
    def infer(self) -> None:
        """Send one row."""
        self._target.send(ROW, name="infer", fire=self.environment.events.request.fire)
