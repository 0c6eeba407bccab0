"""What a worker lets through: targets on its own allow-list, and secrets that are known here.

References are `${env:NAME}` and `${file:NAME}`; a literal `${` is written `$${`. The allow-list is this
worker's configuration, never Redis's; here only literal addresses are judged, early, for a clear refusal. The
engine judges the address that it connects to.
"""

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from workers.contract import references
from workers.contract.errors import ShakeoutWorkerError, TargetRefusedError
from workers.contract.spec import TargetSpec
from workers.engine.allow import parse_allow_list
from workers.settings import Settings

MOST_SECRET_BYTES = 64 * 1024
_PORTS = {"http": 80, "https": 443}


class SecretUnsetError(ShakeoutWorkerError):
    """A secret that the campaign refers to is not set on this worker."""


def fill(text: str, settings: Settings) -> str:
    """Put secrets in place of their references. Raises SecretUnsetError, which names the reference."""
    return references.fill(text, lambda source, name: _secret(source, name, settings))


def fill_target(target: TargetSpec, settings: Settings) -> TargetSpec:
    """The target with its secrets: references may stand in `url` and `headers`. Raises SecretUnsetError."""
    url = fill(target.url, settings)
    options = dict(target.options)
    if isinstance(options.get("url"), str):
        options["url"] = fill(options["url"], settings)
    headers = {name: fill(value, settings) for name, value in target.headers.items()}
    return msgspec.structs.replace(target, url=url, options=options, headers=headers)


def secrets_of(target: TargetSpec, settings: Settings) -> tuple[str, ...]:
    """What of a target must not be seen in what is told of its requests. Raises SecretUnsetError.

    The values of its headers, filled in, and of every reference; `target` is as it is stored.
    """
    named = references.referred((target.url, *target.headers.values()))
    referred = (_secret(source, name, settings) for source, name in named)
    headers = (fill(value, settings) for value in target.headers.values())
    return tuple(dict.fromkeys((*headers, *referred)))


def check_target(url: str, allow_targets: Sequence[str]) -> None:
    """Refuse a URL whose host is a literal address off the list. Raises TargetRefusedError."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in _PORTS or not host:
        raise TargetRefusedError("the target's url is no http(s) address; nothing was sent to it")
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        parse_allow_list(allow_targets)
        return
    port = parts.port or _PORTS[parts.scheme]
    parse_allow_list(allow_targets).permitted(host, port, addresses=[address])


def _secret(source: references.Source, name: str, settings: Settings) -> str:
    if source == "env":
        value = settings.environment.get(name)
        if value is None:
            raise SecretUnsetError(
                f"${{env:{name}}} is not set on worker {settings.name}: set {name} in its environment"
            )
        return value
    try:
        with (settings.secrets / name).open("rb") as file:
            content = file.read(MOST_SECRET_BYTES + 1)
    except OSError as error:
        raise SecretUnsetError(
            f"${{file:{name}}} cannot be read on worker {settings.name} ({error.strerror}): "
            "put that file into the directory that SHAKEOUT_SECRETS names"
        ) from error
    if len(content) > MOST_SECRET_BYTES:
        raise SecretUnsetError(
            f"${{file:{name}}} on worker {settings.name} is over {MOST_SECRET_BYTES} bytes"
        )
    return content.decode("utf-8", "replace").rstrip("\r\n")
