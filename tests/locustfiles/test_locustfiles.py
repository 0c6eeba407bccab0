"""The locustfiles run under plain `locust`, headless, against a real target."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "locustfiles"


@pytest.fixture
def url() -> Iterator[str]:
    flags = ["--ttft", "5ms", "--gap", "1ms", "--service-time", "1ms"]
    target = subprocess.Popen(
        [sys.executable, "-m", "workers.demo_target", *flags], stdout=subprocess.PIPE, text=True
    )
    assert target.stdout is not None
    yield target.stdout.readline().split()[-1]
    target.kill()
    target.wait()
    target.stdout.close()


TASKS = {
    "openai_chat": "chat",
    "openai_completions": "complete",
    "openai_embeddings": "embed",
    "kserve_v2": "infer",
    "triton_generate": "generate",
    "tf_serving": "predict",
    "json_http": "post",
}


@pytest.mark.parametrize(("name", "user"), TASKS.items())
def test_a_locustfile_runs_under_plain_locust(name: str, user: str, url: str) -> None:
    run = subprocess.run(
        [
            sys.executable, "-m", "locust", "-f", str(FOLDER / f"{name}.py"), "--host", url,
            "--headless", "-u", "3", "-r", "3", "-t", "2s", "--json", "--loglevel", "WARNING",
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    (entry,) = json.loads(run.stdout)
    assert (entry["name"], entry["num_failures"]) == (user, 0)
    assert entry["num_requests"] > 10
