"""A game day on one machine: its gate names a command that works, and a second terminal opens it."""

import os
import re
import subprocess
import sys
import time

TEXT = """\
campaign: gated
seed: 3
validity: {lag_p99: 2s, start_skew: 10s}
gameday:
  roles: {commander: cmd@example.com}
  approvals: {only: {by: commander, within: 5m}}
targets: {chat: {protocol: openai-chat, model: demo, demo: {}, timeout: 5s}}
phases:
  - name: only
    activities:
      - {name: some, kind: load, target: chat, duration: 1s, arrivals: {process: constant, rate: 10/s},
         data: {synthetic: {input_tokens: 4, output_tokens: 2}}, slos: ["success_rate >= 10%"]}
"""
WITHIN_S = 90.0


def test_the_command_that_a_runs_gate_shows_opens_it_from_anywhere(tmp_path):
    (tmp_path / "day.yaml").write_text(TEXT)
    shakeout = [sys.executable, "-m", "orchestrator"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SHAKEOUT_")}
    said = tmp_path / "said.txt"
    with said.open("w") as out:
        run = subprocess.Popen(
            [*shakeout, "run", "day.yaml", "--out", "else where", "--workers", "1"],
            cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT, env=environment,
        )  # fmt: skip
    try:
        until = time.monotonic() + WITHIN_S
        while (shown := re.search(r"`shakeout approve '(.*)' only`", said.read_text())) is None:
            assert run.poll() is None, said.read_text()
            assert time.monotonic() < until, said.read_text()
            time.sleep(0.1)
        assert shown[1] == str(tmp_path / "else where")
        done = subprocess.run(
            [*shakeout, "approve", shown[1], "only", "--why", "all there"],
            cwd="/", capture_output=True, text=True, timeout=WITHIN_S, check=False, env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert run.wait(WITHIN_S) == 0, said.read_text()
    finally:
        run.kill()
        run.wait()
    assert "approved phase only: all there" in said.read_text()
    assert "all there" in (tmp_path / "else where" / "post-mortem.md").read_text()
