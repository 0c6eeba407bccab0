"""Readiness over gRPC, asked by calls that make nothing infer."""

import pytest

from workers.engine import grpc_ready
from workers.engine.allow import AllowList
from workers.engine.endpoint import endpoint_of
from workers.protocols.kserve_v2_grpc import GrpcOptions, KServeV2Grpc

READY, UNREADY = b"\x08\x01", b""
BOTH = ["ServerReady", "ModelReady"]
SERVICE = "/inference.GRPCInferenceService/"


@pytest.fixture
def asked(served):
    """`asked(answers)`: ask a target of these (gRPC status, message) by call; why not, what it heard."""

    def ask(answers: dict[str, tuple[int, bytes | None]]):
        def script(peer):
            peer.begin()
            while heard := peer.call():
                status, message = answers[heard.headers[":path"].removeprefix(SERVICE)]
                if message is None:
                    peer.until_closed()
                    return
                peer.answer(heard, message if status == 0 else None, status=status, words="said")

        with served(script) as server:
            protocol = KServeV2Grpc(
                GrpcOptions(model="m", version="3", url=server.url), seed=0, for_regression=False
            )
            endpoint = endpoint_of(server.url, allow=AllowList())
            limit_s = 0.5 if (0, None) in answers.values() else 10.0
            why = grpc_ready.ask(
                endpoint, headers_block=b"authorization: s\r\n", protocol=protocol, limit_s=limit_s
            )
            return why, server.calls

    return ask


@pytest.mark.parametrize(
    ("answers", "why", "calls"),
    [
        ({"ServerReady": (0, READY)}, None, ["ServerReady"]),
        ({"ServerReady": (0, UNREADY)}, "not ready, says ServerReady", ["ServerReady"]),
        ({"ServerReady": (14, b"")}, "not ready: UNAVAILABLE: said to ServerReady", ["ServerReady"]),
        ({"ServerReady": (16, b"")}, None, ["ServerReady"]),
        ({"ServerReady": (12, b""), "ModelReady": (0, READY)}, None, BOTH),
        ({"ServerReady": (12, b""), "ModelReady": (0, UNREADY)}, "not ready, says ModelReady", BOTH),
        ({"ServerReady": (12, b""), "ModelReady": (12, b"")}, None, BOTH),
        ({"ServerReady": (0, None)}, "connected, but no answer within 0.5 s to ServerReady", ["ServerReady"]),
    ],
)  # fmt: skip
def test_the_first_call_that_the_target_knows_decides(asked, answers, why, calls):
    said, heard = asked(answers)
    assert said == why
    assert [one.headers[":path"].removeprefix(SERVICE) for one in heard] == calls
    assert all(one.headers["authorization"] == "s" for one in heard)


def test_a_model_is_asked_for_by_name_and_version(asked):
    _, heard = asked({"ServerReady": (12, b""), "ModelReady": (0, READY)})
    assert [one.message for one in heard] == [b"", b"\x0a\x01m\x12\x013"]
