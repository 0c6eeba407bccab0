"""Where a protocol's requests go: its path joined to the target's URL, and the paths that tell readiness."""

from typing import Protocol
from urllib.parse import quote, urlsplit


class HasUrl(Protocol):
    """Options of a target."""

    @property
    def url(self) -> str:
        """The target's URL as the campaign writes it."""


class HasModel(HasUrl, Protocol):
    """Options of a target whose URLs name its model."""

    @property
    def model(self) -> str:
        """The model's name."""

    @property
    def version(self) -> str:
        """The model's version; empty for the server's choice."""


def join_path(url: str, tail: str) -> str:
    """The path (and query) to ask for: the URL's own path, then `tail`, with `/v1` never doubled.

    `http://h/v1` and `/v1/models` give `/v1/models`; `http://h/api?key=1` gives `/api/v1/models?key=1`.
    """
    parts = urlsplit(url)
    root = parts.path.rstrip("/")
    if root.endswith("/v1") and (tail == "/v1" or tail.startswith("/v1/")):
        root = root[: -len("/v1")]
    path = root + "/" + tail.lstrip("/")
    if not parts.query:
        return path
    return f"{path}{'&' if '?' in path else '?'}{parts.query}"


def model_path(model: str, version: str) -> str:
    """`/models/MODEL[/versions/V]`, the form that V2, Triton and TensorFlow Serving share."""
    path = f"/models/{quote(model, safe='')}"
    return f"{path}/versions/{quote(version, safe='')}" if version else path


def openai_paths(options: HasUrl) -> tuple[str, ...]:
    """Where to ask whether an OpenAI-compatible target is ready; never an inference request."""
    return join_path(options.url, "/v1/models"), join_path(options.url, "/health")


def v2_paths(options: HasUrl) -> tuple[str, ...]:
    """Where to ask whether a target of the Open Inference Protocol is ready."""
    return (join_path(options.url, "/v2/health/ready"),)
