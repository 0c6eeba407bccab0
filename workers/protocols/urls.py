"""Join a target's URL and a protocol's path, by the rule of CAMPAIGN.md section 4."""

from urllib.parse import urlsplit


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
