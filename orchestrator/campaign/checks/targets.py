"""Targets: one way to reach each, keys that its protocol knows, at most one monitor (CAMPAIGN.md 4)."""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from orchestrator.campaign.findings import Finding, nearest
from orchestrator.campaign.models import Campaign, Monitor, Target
from orchestrator.campaign.references import without_references
from orchestrator.campaign.yaml_reader import Path
from workers.contract.kinds import resolve
from workers.protocols import TABLE

# These belong to the HTTP client; a person's value would contradict what is sent.
_OWN_HEADERS: Final = ("content-length", "host", "transfer-encoding")
# Keys that only some protocols know; each protocol's Options lists the ones it does.
_BY_PROTOCOL: Final = ("stream", "extra_body", "version", "path", "method", "body", "binary")


def check_targets(campaign: Campaign) -> Iterator[Finding]:
    """What is wrong with the targets."""
    monitors = [name for name, one in campaign.targets.items() if isinstance(one, Monitor)]
    if len(monitors) == len(campaign.targets):
        yield Finding(("targets",), "needs at least one target that is not a monitor")
    for name in monitors[1:]:
        yield Finding(("targets", name), "a second monitor", f"{monitors[0]} is one already")
    for name, one in campaign.targets.items():
        path: Path = ("targets", name)
        yield from _headers(path, one.headers)
        if isinstance(one, Target):
            yield from _target(path, one)
        else:
            yield from _urls(path, {"prometheus": one.prometheus, "alertmanager": one.alertmanager})


def works(protocol: str) -> bool:
    """Whether a protocol can be run in this version; unknown ones cannot."""
    kind = _kind(protocol)
    return bool(kind and kind.works)


def _kind(protocol: str) -> Any:
    """The protocol of that name; None where there is none."""
    return resolve("workers.protocols", TABLE, protocol) if protocol in TABLE else None


def _target(path: Path, target: Target) -> Iterator[Finding]:
    given = target.model_fields_set
    if (target.url is None) == (target.demo is None):
        found = "both" if target.url is not None else "neither"
        hint = "a demo target is started by `run`; for a real one say its url"
        yield Finding(path, f"needs exactly one of url and demo, has {found}", hint)
    yield from _urls(path, {"url": target.url, "metrics": target.metrics})
    kind = _kind(target.protocol)
    if kind is None:
        hint = nearest(target.protocol, list(TABLE))
        yield Finding((*path, "protocol"), f"unknown protocol {target.protocol!r}", hint)
        return
    if kind.needs_model and target.model is None:
        yield Finding((*path, "model"), f"is missing (protocol {target.protocol} needs it)")
    if target.demo is not None and getattr(kind, "transport", "") == "grpc":
        hint = "give the url of a server that does; kserve-v2 asks the demo target the same"
        yield Finding((*path, "demo"), "the demo target speaks no gRPC", hint)
    for key in _BY_PROTOCOL:
        if key in given and key not in kind.Options.__struct_fields__:
            yield Finding((*path, key), f"no key of protocol {target.protocol}", _who_has(key))
    if "tokenizer" in given and not target.protocol.startswith(("openai-", "triton-")):
        yield Finding((*path, "tokenizer"), f"no key of protocol {target.protocol}: it has no tokens")
    if target.body is not None and "body" in kind.Options.__struct_fields__:
        yield from _template((*path, "body"), target.body)


def _template(path: Path, text: str) -> Iterator[Finding]:
    # Loaded only where a campaign has a template, so that validating others stays quick.
    import jinja2.sandbox  # noqa: PLC0415

    try:
        jinja2.sandbox.SandboxedEnvironment().parse(text)
    except jinja2.TemplateSyntaxError as error:
        yield Finding(path, f"is no Jinja2 template: line {error.lineno}: {error.message}")


def _who_has(key: str) -> str:
    owners = [name for name in TABLE if key in _kind(name).Options.__struct_fields__]
    return f"protocols that have it: {', '.join(owners)}"


def _headers(path: Path, headers: dict[str, str]) -> Iterator[Finding]:
    for name, value in headers.items():
        if name.lower() in _OWN_HEADERS:
            yield Finding((*path, "headers", name), "is set by the client itself", "leave it out")
        elif not name.isascii() or any(
            not 33 <= ord(one) <= 126 or one in ':()<>@,;"/[]?={}\\' for one in name
        ):
            yield Finding((*path, "headers", name), "is no name of a header")
        if any(one in value for one in "\r\n\0"):
            yield Finding((*path, "headers", name), "a header's value is one line")


def _urls(path: Path, urls: dict[str, str | None]) -> Iterator[Finding]:
    for key, url in urls.items():
        if url is not None:
            yield from check_url((*path, key), url)


def check_url(path: Path, url: str) -> Iterator[Finding]:
    """An http(s) URL that names a host; one that begins with a reference is only known on the worker."""
    if not url.startswith("${") and (wrong := _wrong_url(without_references(url))):
        yield Finding(path, wrong, "say for example http://127.0.0.1:8000")


def _wrong_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return "its port is no number up to 65535" if "Port" in str(error) else f"is no URL: {error}"
    if port == 0:
        return "its port is 0"
    if parts.scheme not in ("http", "https"):
        return "must begin with http:// or https://"
    return "" if parts.hostname and not any(one.isspace() for one in url) else "is no URL: it names no host"
