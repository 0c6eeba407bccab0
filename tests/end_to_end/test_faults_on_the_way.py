"""A load through a proxy of ours and a balancer to two real servers, one of which hangs for a while.

The truth is known from outside: the servers' own logs, and what /proc says of the one that hangs.
"""

import json
import threading
import time
from collections import Counter
from pathlib import Path

BALANCER = Path(__file__).with_name("balancer.py")
WINDOW_WITHIN_S = 3 * 0.25
RECOVERY_WITHIN_S = 3 * 1.0
RATE_PER_S, CALM_FOR, CALM_S, CALM_SHARE = 200, 5, 0.5, 0.95
"""A second is calm if nearly all that came in it was answered soon; a recovery is five such seconds."""
CAMPAIGN = """\
campaign: on-the-way
seed: 5
validity: {{lag_p99: 2s, start_skew: 10s}}
targets:
  chat: {{protocol: openai-chat, model: demo, url: "http://127.0.0.1:{port}", timeout: 20s,
         headers: {{Connection: close}}}}  # so that every other request meets the server that hangs
phases:
  - name: only
    activities:
      - name: steady
        kind: load
        target: chat
        shards: 1
        arrivals: {{process: constant, rate: 200/s}}
        duration: 45s
        data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}
        slos: ["p99(latency) < 1s", "p99(ttft) < 1s"]
      - name: slow-network
        kind: chaos
        fault: tcp-proxy
        at: 11s
        for: 2s
        with: {{listen: {port}, upstream: "{upstream}", latency: 600ms}}
      - name: one-hangs
        kind: chaos
        fault: pause-process
        at: 20s
        for: 5s
        match: {{port: {hangs}}}
"""


class Watching:
    """Between which two looks a process was stopped, and ran again, on CLOCK_REALTIME, as /proc has it."""

    def __init__(self, pid):
        self._stat = Path(f"/proc/{pid}/stat")
        self._over = threading.Event()
        self.stopped_s = self.ran_again_s = (0.0, 0.0)
        self._thread = threading.Thread(target=self._look)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _look(self):
        last_s = time.time()
        while not self._over.wait(0.005):
            look_s = time.time()
            stopped = self._stat.read_text().rpartition(")")[2].split()[0] == "T"
            if stopped and not self.stopped_s[1]:
                self.stopped_s = (last_s, time.time())
            if not stopped and self.stopped_s[1] and not self.ran_again_s[1]:
                self.ran_again_s = (last_s, time.time())
            last_s = look_s


def _answered(*targets):
    """Index of a request -> when its answer was complete, in seconds of CLOCK_REALTIME."""
    ahead_s = time.time() - time.monotonic()
    lines = (json.loads(line) for target in targets for line in target.log.read_text().splitlines())
    return {
        int(line["id"].split("/")[1]): line["answered_ns"] / 1e9 + ahead_s
        for line in lines
        if line["event"] == "answered" and line["id"]
    }


def _back_to_normal_s(start_s, revert_s, answered):
    """How long after the revert the last request that had waited for it was answered."""
    waited = [at_s for index, at_s in answered.items() if start_s + index / RATE_PER_S < revert_s]
    return max(waited) - revert_s


def _calm_again_s(start_s, revert_s, answered):
    """How long after the revert the servers had five calm seconds: a busy machine has others, too."""
    soon, done = Counter(), Counter()
    for index, at_s in answered.items():
        soon[index // RATE_PER_S] += at_s - start_s - index / RATE_PER_S < CALM_S
        done[int(at_s - start_s)] += 1
    least = CALM_SHARE * RATE_PER_S
    calm = {second for second, count in soon.items() if count == RATE_PER_S and done[second] >= least}
    first = int(revert_s - start_s)
    starts = [at for at in sorted(calm) if at >= first and calm >= set(range(at, at + CALM_FOR))]
    assert starts, "this machine was never calm again"
    return start_s + starts[0] - revert_s


def test_latency_and_a_hang_of_one_server_of_two_are_reported_as_they_were(
    run, target, program, free_port
) -> None:
    first, second = target("--ttft", "5ms", "--gap", "1ms"), target("--ttft", "5ms", "--gap", "1ms")
    ports = [one.url.rpartition(":")[2] for one in (first, second)]
    balancer = program(BALANCER, *ports)
    upstream = balancer.url.removeprefix("http://")
    with Watching(first.process.pid) as seen:
        one = run(CAMPAIGN.format(port=free_port(), upstream=upstream, hangs=ports[0]), "--workers", "1")
        assert one.wait() in (0, 1), one.output  # the hang breaks the objective, on most machines
    report = one.report()
    slow, hang = report["faults"]

    counts = report["activities"]["steady"]["requests"]
    assert counts["unknown"] == 0
    ids = [line["id"] for server in (first, second) for line in server.received() if line["id"]]
    assert len(ids) == len(set(ids)) == counts["sent"]

    assert (slow["took_effect"], slow["residue"]) == (True, "")
    assert slow["touched"][0].endswith(f"to {upstream}")
    assert slow["did"]["affected"] > 0
    signals = slow["impact"][0]["signals"]
    assert signals["latency_p99_s"]["change"]["value"] > 0.3  # a busy machine is slow before, too
    assert slow["recovered"]

    assert hang["took_effect"]
    assert hang["detected_s"] is not None
    assert hang["impact"][0]["in_flight_highest"] > 100
    for said, (before_s, after_s) in (("injected", seen.stopped_s), ("reverted", seen.ran_again_s)):
        assert before_s - WINDOW_WITHIN_S < hang[said] < after_s + WINDOW_WITHIN_S
    start_s = hang["injected"] - hang["injected_after_s"]
    answered = _answered(first, second)
    revert_s = min(max(hang["reverted"], seen.ran_again_s[0]), seen.ran_again_s[1])
    truth_s = _back_to_normal_s(start_s, revert_s, answered)
    calm_s = max(truth_s, _calm_again_s(start_s, revert_s, answered))
    assert hang["recovery_s"] is not None
    assert truth_s - RECOVERY_WITHIN_S < hang["recovery_s"] < calm_s + RECOVERY_WITHIN_S
