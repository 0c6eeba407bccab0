"""From what a campaign says of a monitor or a page of metrics to where it is asked: secrets, files, leave."""

import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from workers.contract.errors import DataError
from workers.contract.spec import FileRef, Tls
from workers.engine.allow import parse_allow_list
from workers.guard import check_target, fill
from workers.settings import Settings
from workers.watching.fetch import Place, addresses

Local = Callable[[FileRef], Path]
"""Where a file of the campaign lies on this host."""


def place_of(
    url: str,
    headers: Mapping[str, str],
    tls: Tls | None,
    *,
    settings: Settings,
    clock: Callable[[], float],
    local: Local,
) -> Place:
    """Where to ask. Raises SecretUnsetError, TargetRefusedError, and DataError for bad TLS files."""
    filled = fill(url, settings)
    check_target(filled, settings.allow_targets)
    place = Place(
        url=filled,
        headers={name: fill(value, settings) for name, value in headers.items()},
        allowed=parse_allow_list(settings.allow_targets),
        clock=clock,
        tls=_context(tls or Tls(), local) if filled.startswith("https:") else None,
        server_name=tls.server_name if tls is not None else None,
    )
    with suppress(OSError):  # a name that leads nowhere now may do so later
        addresses(place)  # another worker may be allowed what this one is not
    return place


def _context(tls: Tls, local: Local) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(local(tls.ca)) if tls.ca is not None else None)
        if tls.cert is not None:
            key = str(local(tls.key)) if tls.key is not None else None
            context.load_cert_chain(str(local(tls.cert)), key)
    except (ssl.SSLError, OSError) as error:
        named = ", ".join(one.name for one in (tls.ca, tls.cert, tls.key) if one is not None)
        raise DataError(f"the TLS files of a monitor cannot be used ({named}): {error}") from error
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
