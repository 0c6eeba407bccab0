"""Protocols whose keys are kept: campaigns that name them parse and plan; `run` refuses them by name."""

from typing import ClassVar

import msgspec

from workers.protocols.urls import join_path, openai_paths, v2_paths


class OpenAIOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Keys of the other OpenAI protocols."""

    model: str
    url: str = ""
    stream: bool = True
    extra_body: dict[str, object] = msgspec.field(default_factory=dict)


class EmbeddingOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Keys of embeddings, which are never streamed."""

    model: str
    url: str = ""
    extra_body: dict[str, object] = msgspec.field(default_factory=dict)


class ModelOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Keys of the protocols that name a model and perhaps its version."""

    model: str
    url: str = ""
    version: str = ""


class OpenAICompletions:
    """POST url + /v1/completions."""

    Options: ClassVar[type[OpenAIOptions]] = OpenAIOptions
    works: ClassVar[bool] = False
    needs_model: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    readiness_paths = staticmethod(openai_paths)


class OpenAIEmbeddings:
    """POST url + /v1/embeddings."""

    Options: ClassVar[type[EmbeddingOptions]] = EmbeddingOptions
    works: ClassVar[bool] = False
    needs_model: ClassVar[bool] = True
    streams: ClassVar[bool] = False
    readiness_paths = staticmethod(openai_paths)


class KServeV2:
    """POST url + /v2/models/MODEL[/versions/V]/infer."""

    Options: ClassVar[type[ModelOptions]] = ModelOptions
    works: ClassVar[bool] = False
    needs_model: ClassVar[bool] = True
    streams: ClassVar[bool] = False
    readiness_paths = staticmethod(v2_paths)


class KServeV2Grpc:
    """The same protocol over gRPC; readiness is a TCP connect."""

    Options: ClassVar[type[ModelOptions]] = ModelOptions
    works: ClassVar[bool] = False
    needs_model: ClassVar[bool] = True
    streams: ClassVar[bool] = False

    @staticmethod
    def readiness_paths(options: ModelOptions) -> tuple[str, ...]:  # noqa: ARG004  # all kinds alike
        """No path: gRPC has none to ask by HTTP."""
        return ()


class TritonGenerate:
    """POST url + /v2/models/MODEL/generate_stream."""

    Options: ClassVar[type[ModelOptions]] = ModelOptions
    works: ClassVar[bool] = False
    needs_model: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    readiness_paths = staticmethod(v2_paths)


class TFServing:
    """POST url + /v1/models/MODEL:predict."""

    Options: ClassVar[type[ModelOptions]] = ModelOptions
    works: ClassVar[bool] = False
    needs_model: ClassVar[bool] = True
    streams: ClassVar[bool] = False

    @staticmethod
    def readiness_paths(options: ModelOptions) -> tuple[str, ...]:
        """Where to ask whether the target is ready."""
        version = f"/versions/{options.version}" if options.version else ""
        return (join_path(options.url, f"/v1/models/{options.model}{version}"),)
