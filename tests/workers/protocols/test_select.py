import subprocess
import sys

import pytest

from workers.contract.errors import ContractError, ProtocolError
from workers.contract.kinds import resolve
from workers.protocols import TABLE
from workers.protocols.select import make_protocol, ready_paths
from workers.protocols.tf_serving import TFServing


def test_a_protocol_is_made_of_the_targets_keys_that_are_given():
    target = {"url": "http://h/v1", "model": "m", "stream": None}
    protocol = make_protocol("openai-chat", target, seed=1, for_regression=False)
    assert protocol.build({"prompt": "x"}).stream


def test_a_protocol_that_only_plans_is_refused_by_name_with_those_that_work(monkeypatch):
    monkeypatch.setattr(TFServing, "works", False)
    with pytest.raises(ProtocolError, match=r"tf-serving can be planned.*openai-chat, json-http"):
        make_protocol("tf-serving", {"model": "m"}, seed=1, for_regression=False)


TENSORS = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}
ROWS = {
    "json-http": {},
    "kserve-v2": TENSORS,
    "kserve-v2-grpc": TENSORS,
    "tf-serving": {"instances": [[1]]},
}
PROMPT = {"prompt": "x"}


@pytest.mark.parametrize("name", TABLE)
def test_every_protocol_makes_a_request_below_the_urls_own_path(name):
    target = {"url": "http://h/team", "model": "m"}
    request = make_protocol(name, target, seed=1, for_regression=False).build(ROWS.get(name, PROMPT))
    assert request.method == "POST"
    assert request.path.startswith("/team/")


def test_a_key_of_another_protocol_is_refused():
    with pytest.raises(ProtocolError, match="path"):
        make_protocol("openai-chat", {"model": "m", "path": "/x"}, seed=1, for_regression=False)


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(ContractError, match="openai-chat"):
        make_protocol("openai-chart", {}, seed=1, for_regression=False)


def test_every_kind_of_the_table_says_what_it_is():
    for name in TABLE:
        kind = resolve("workers.protocols", TABLE, name)
        assert all(isinstance(getattr(kind, word), bool) for word in ("works", "needs_model", "streams"))
        assert all(path.startswith("/") for path in ready_paths(name, {"model": "m", "url": "http://h"}))


def test_readiness_is_asked_under_the_urls_own_path():
    assert ready_paths("openai-chat", {"model": "m", "url": "http://h/api/v1"})[0] == "/api/v1/models"
    assert ready_paths("tf-serving", {"model": "m", "version": "3"}) == ("/v1/models/m/versions/3",)


def test_the_kinds_load_nothing_heavy():
    code = (
        "import sys; from workers.contract.kinds import resolve\n"
        "import workers.protocols as p, workers.regression as r\n"
        "import workers.regression.rules, workers.contract.files.golden\n"
        "[resolve(m.__name__, m.TABLE, n) for m in (p, r) for n in m.TABLE]\n"
        "heavy = {'jinja2', 'jsonschema', 'pyarrow', 'pandas', 'numpy', 'pydantic'}\n"
        "heavy |= {'redis', 'gevent', 'locust', 'celery'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "[]"
