"""Chat completions under plain Locust: `locust -f locustfiles/openai_chat.py --host http://127.0.0.1:8000`.

The model is taken from the environment variable SHAKEOUT_MODEL (default `demo`). Requests are built and
answers read by the protocol that campaigns use; response times are Locust's own: closed loop, from the send.
"""

import os

from locust import User, between, task

from workers.engine.plain import PlainTarget
from workers.protocols.select import make_protocol

ROW = {"prompt": "one two three four five six seven eight", "max_tokens": 16}
TIMEOUT_S = 60.0


class OpenaiChatUser(User):  # type: ignore[misc, unused-ignore]  # locust's types differ by version
    """One user that asks, reads the stream to its end, and asks again."""

    wait_time = between(0.05, 0.2)

    def on_start(self) -> None:
        """Open this user's own connection."""
        url = str(self.environment.host or self.host)
        target = {"url": url, "model": os.environ.get("SHAKEOUT_MODEL", "demo"), "stream": True}
        protocol = make_protocol("openai-chat", target, seed=0, for_regression=False)
        self._target = PlainTarget(url, protocol=protocol, timeout_s=TIMEOUT_S)

    @task
    def chat(self) -> None:
        """Send one prompt."""
        self._target.send(ROW, name="chat", fire=self.environment.events.request.fire)
