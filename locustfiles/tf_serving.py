"""TensorFlow Serving's predict under plain Locust: `locust -f locustfiles/tf_serving.py --host http://127.0.0.1:8000`.

The model is taken from the environment variable SHAKEOUT_MODEL (default `demo`). Requests are built and
answers read by the protocol that campaigns use; response times are Locust's own: closed loop, from the send.
"""

import os

from locust import User, between, task

from workers.engine.plain import PlainTarget
from workers.protocols.select import make_protocol

ROW = {"instances": [[0.2, 1.0, 7.5], [0.0, 0.5, 2.0]]}
TIMEOUT_S = 60.0


class TfServingUser(User):  # type: ignore[misc, unused-ignore]  # locust's types differ by version
    """One user that sends two rows, counts the predictions, and sends them again."""

    wait_time = between(0.05, 0.2)

    def on_start(self) -> None:
        """Open this user's own connection."""
        url = str(self.environment.host or self.host)
        target = {"url": url, "model": os.environ.get("SHAKEOUT_MODEL", "demo")}
        protocol = make_protocol("tf-serving", target, seed=0, for_regression=False)
        self._target = PlainTarget(url, protocol=protocol, timeout_s=TIMEOUT_S)

    @task
    def predict(self) -> None:
        """Send one request."""
        self._target.send(ROW, name="predict", fire=self.environment.events.request.fire)
