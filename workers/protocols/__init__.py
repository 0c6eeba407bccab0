"""Protocols: how a row becomes a request, and how the bytes that came back become an answer. All pure.

A new protocol is one module plus one line here; workers/protocols/contract.py says what the module owes.
"""

from collections.abc import Mapping
from typing import Final

TABLE: Final[Mapping[str, str]] = {
    "openai-chat": "openai_chat:OpenAIChat",
    "json-http": "json_http:JsonHttp",
    "openai-completions": "reserved:OpenAICompletions",
    "openai-embeddings": "reserved:OpenAIEmbeddings",
    "kserve-v2": "reserved:KServeV2",
    "kserve-v2-grpc": "reserved:KServeV2Grpc",
    "triton-generate": "reserved:TritonGenerate",
    "tf-serving": "reserved:TFServing",
}
