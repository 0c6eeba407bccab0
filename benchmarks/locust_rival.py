"""Stock Locust users for comparison: `locust -f benchmarks/locust_rival.py Fast --headless ...`.

Posts the same ten small rows as the engine's benchmark. RIVAL_PER_S is the pace of one user (requests/s,
by Locust's own constant_throughput); 0 sends again at once.
"""

import json
import os
from itertools import cycle

from locust import FastHttpUser, HttpUser, constant, constant_throughput, task

PATH = "/infer"
PER_S = float(os.environ.get("RIVAL_PER_S", "0"))
INPUT = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1.0, 2.0, 3.0]}
BODIES = cycle([json.dumps({"inputs": [INPUT], "id": str(at)}).encode() for at in range(10)])
HEADERS = {"content-type": "application/json"}
WAIT = constant_throughput(PER_S) if PER_S else constant(0)


class Fast(FastHttpUser):
    """geventhttpclient's user."""

    wait_time = WAIT

    @task
    def infer(self) -> None:
        """One request."""
        self.client.post(PATH, data=next(BODIES), headers=HEADERS)


class Plain(HttpUser):
    """The user on requests and urllib3."""

    wait_time = WAIT

    @task
    def infer(self) -> None:
        """One request."""
        self.client.post(PATH, data=next(BODIES), headers=HEADERS)
