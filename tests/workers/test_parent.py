import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workers.parent import asked

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "workers.demo_target", sys.argv[1]])
print(child.pid, flush=True)
child.wait()
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_flag_is_read_with_and_without_the_parents_pid():
    assert asked([]) == (False, None)
    assert asked(["--port", "0", "--die-with-parent"]) == (True, None)
    assert asked(["--die-with-parent=17"]) == (True, 17)


@pytest.mark.parametrize(("flag", "outlives"), [("--die-with-parent", False), ("--seed=1", True)])
def test_a_killed_parent_takes_the_target_with_it_only_where_asked(flag, outlives):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, flag], stdout=subprocess.PIPE, text=True)
    try:
        told = {parent.stdout.readline().strip(), parent.stdout.readline().strip()}
        pid = int(next(line for line in told if line.isdecimal()))
        assert any(line.startswith("listening on") for line in told)
        parent.send_signal(signal.SIGKILL)
        parent.wait(5)
        deadline = time.monotonic() + (0.5 if outlives else 2)
        while alive(pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert alive(pid) == outlives
        if outlives:
            os.kill(pid, signal.SIGKILL)
    finally:
        parent.kill()
        parent.stdout.close()


def test_a_target_whose_parent_is_gone_already_does_not_start():
    command = [sys.executable, "-m", "workers.demo_target", "--die-with-parent=1"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert ended.returncode == 1
    assert "parent is gone" in ended.stderr
