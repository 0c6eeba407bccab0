"""JSON over HTTP under plain Locust: `locust -f locustfiles/json_http.py --host http://127.0.0.1:8000`.

The path is taken from the environment variable SHAKEOUT_PATH (default: the demo target's inference).
"""

import os

from locust import User, between, task

from workers.engine.plain import PlainTarget
from workers.protocols.select import make_protocol

ROW = {"inputs": [{"name": "features", "shape": [1, 3], "datatype": "FP32", "data": [0.2, 1.0, 7.5]}]}
TIMEOUT_S = 60.0


class JsonHttpUser(User):  # type: ignore[misc, unused-ignore]  # locust's types differ by version
    """One user that posts a body, reads the answer, and posts again."""

    wait_time = between(0.05, 0.2)

    def on_start(self) -> None:
        """Open this user's own connection."""
        url = str(self.environment.host or self.host)
        target = {"url": url, "path": os.environ.get("SHAKEOUT_PATH", "/v2/models/demo/infer")}
        protocol = make_protocol("json-http", target, seed=0, for_regression=False)
        self._target = PlainTarget(url, protocol=protocol, timeout_s=TIMEOUT_S)

    @task
    def post(self) -> None:
        """Send one body."""
        self._target.send(ROW, name="post", fire=self.environment.events.request.fire)
