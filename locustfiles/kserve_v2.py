"""Open Inference Protocol (V2) under plain Locust: `locust -f locustfiles/kserve_v2.py --host http://HOST`.

The model is taken from the environment variable SHAKEOUT_MODEL (default `demo`), the input's name from
SHAKEOUT_INPUT (default `features`); SHAKEOUT_BINARY=1 sends tensors as bytes. Requests are built and answers
read by the protocol that campaigns use; response times are Locust's own: closed loop, from the send.
"""

import os

from locust import User, between, task

from workers.engine.plain import PlainTarget
from workers.protocols.select import make_protocol

NAME = os.environ.get("SHAKEOUT_INPUT", "features")
BINARY = os.environ.get("SHAKEOUT_BINARY") == "1"
ROW = {"inputs": [{"name": NAME, "shape": [1, 3], "datatype": "FP32", "data": [0.2, 1.0, 7.5]}]}
TIMEOUT_S = 60.0


class KserveV2User(User):  # type: ignore[misc, unused-ignore]  # locust's types differ by version
    """One user that sends a row, checks the outputs, and sends it again."""

    wait_time = between(0.05, 0.2)

    def on_start(self) -> None:
        """Open this user's own connection."""
        url = str(self.environment.host or self.host)
        target = {"url": url, "model": os.environ.get("SHAKEOUT_MODEL", "demo"), "binary": BINARY}
        protocol = make_protocol("kserve-v2", target, seed=0, for_regression=False)
        self._target = PlainTarget(url, protocol=protocol, timeout_s=TIMEOUT_S)

    @task
    def infer(self) -> None:
        """Send one row."""
        self._target.send(ROW, name="infer", fire=self.environment.events.request.fire)
