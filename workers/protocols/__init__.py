"""Protocols: how a row becomes a request, and how the bytes that came back become an answer. All pure.

A new protocol is one module plus one line here; workers/protocols/contract.py says what the module owes.
"""

from collections.abc import Mapping
from typing import Final

TABLE: Final[Mapping[str, str]] = {
    "openai-chat": "openai_chat:OpenAIChat",
    "json-http": "json_http:JsonHttp",
    "openai-completions": "openai_completions:OpenAICompletions",
    "openai-embeddings": "openai_embeddings:OpenAIEmbeddings",
    "kserve-v2": "kserve_v2:KServeV2",
    "kserve-v2-grpc": "kserve_v2_grpc:KServeV2Grpc",
    "triton-generate": "triton_generate:TritonGenerate",
    "tf-serving": "tf_serving:TFServing",
}
