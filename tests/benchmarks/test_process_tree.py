"""What a command costs is what its whole tree cost."""

import sys

import pytest

BURN = "import time\nwhile time.process_time() < 0.4: pass"
LEAVES_A_CHILD = (
    f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {BURN!r}], start_new_session=True)"
)


def test_the_cost_has_a_grandchild_whose_parent_went_first(script):
    tree_cost = script("process_tree").tree_cost
    cost = tree_cost([sys.executable, "-c", LEAVES_A_CHILD], cpus={0}, within_s=60)
    assert 0.4 <= cost.cpu_s < 5


def test_a_command_that_fails_is_told_with_its_words(script):
    module = script("process_tree")
    with pytest.raises(module.CommandError, match="no such thing"):
        module.tree_cost([sys.executable, "-c", "raise SystemExit('no such thing')"], cpus={0}, within_s=60)


def test_a_command_that_hangs_is_ended(script):
    module = script("process_tree")
    with pytest.raises(module.CommandError, match=r"longer than 0\.5 s"):
        module.tree_cost([sys.executable, "-c", "import time; time.sleep(60)"], cpus={0}, within_s=0.5)
