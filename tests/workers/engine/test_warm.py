"""An idle engine has done what an attempt would otherwise wait for."""

import subprocess
import sys

import pytest

from workers.contract.data import Fixed, SyntheticData
from workers.contract.schedule import OpenArrivals, Segment
from workers.contract.spec import LoadSpec, TargetSpec, encode_spec

PREPARE = """\
import sys
from workers.engine.__main__ import import_locust
import_locust()
from workers.engine import wire
from workers.engine.child import _prepare
from workers.engine.control import Control
from workers.engine.warm import warm_up
from workers.contract.spec import ShardTask
{warm}
before = set(sys.modules)
task = ShardTask("c", "a", 0, 1, 1, "a:0:1", "w", "i", "", "load", 0.0)
_prepare(wire.Prepare(task, sys.stdin.buffer.read(), {{}}, {{}}, (), sys.argv[1]), Control())
print(sorted(name for name in set(sys.modules) - before if name.startswith(("numpy.random", "workers."))))
"""


@pytest.fixture
def loaded(tmp_path):
    """What preparing a load imports, after these words."""
    length, url = Fixed(4), "http://127.0.0.1:9"
    spec = LoadSpec(
        campaign="c", phase="p", activity="a", kind="load",
        target=TargetSpec("t", "openai-chat", url, {"url": url, "model": "m"}, 1.0),
        arrivals=OpenArrivals("constant", (Segment(0.0, 1.0, 1.0, 1.0),), 1, "a"),
        warmup_s=0.0, max_in_flight=1, data=SyntheticData(length, length, Fixed(0)), bounds=(), tag_groups=(),
        seed=1, fence_s=1.0,
    )  # fmt: skip

    def run(warm: str) -> str:
        argv = [sys.executable, "-c", PREPARE.format(warm=warm), str(tmp_path / "mark")]
        done = subprocess.run(argv, input=encode_spec(spec)[1], capture_output=True, check=True, timeout=60)
        return done.stdout.decode().strip()

    return run


def test_a_warm_engine_imports_nothing_of_ours_when_its_attempt_comes(loaded):
    assert loaded("warm_up()") == "[]"


def test_a_cold_one_would(loaded):
    assert "workers.protocols.openai_chat" in loaded("")
