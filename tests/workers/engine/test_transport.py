"""Which client carries a protocol's requests, and what is said where a package for it is missing."""

import subprocess
import sys

from workers.engine.allow import AllowList
from workers.engine.client import Client
from workers.engine.endpoint import Endpoint
from workers.engine.grpc_client import GrpcClient
from workers.engine.transport import open_transport
from workers.protocols.select import make_protocol

HERE = Endpoint("127.0.0.1", 1, allow=AllowList())


def test_a_protocol_travels_by_http_1_unless_it_says_grpc():
    for name, kind in (("json-http", Client), ("kserve-v2", Client), ("kserve-v2-grpc", GrpcClient)):
        protocol = make_protocol(name, {"model": "m", "url": "http://h"}, seed=0, for_regression=False)
        client = open_transport(protocol, HERE, timeout_s=1.0, max_connections=1)
        assert type(client) is kind
        client.close()


def test_a_worker_without_the_extra_says_what_to_install():
    code = """
import sys
sys.modules["hpack"] = None
from workers.contract.errors import EngineError
from workers.engine.endpoint import Endpoint
from workers.engine.transport import open_transport
from workers.protocols.select import make_protocol

for name in ("json-http", "kserve-v2-grpc"):
    protocol = make_protocol(name, {"model": "m", "url": "http://h"}, seed=0, for_regression=False)
    try:
        print(type(open_transport(protocol, Endpoint("127.0.0.1", 1), timeout_s=1.0)).__name__)
    except EngineError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    http, refused = done.stdout.splitlines()
    assert http == "Client"
    assert refused.startswith("a gRPC target needs the Python package hpack on this worker")
    assert "pip install 'shakeout[grpc]'" in refused
