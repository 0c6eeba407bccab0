"""The runs URL as a worker reaches it: files written whole or not at all; a plain path is local."""

import posixpath
import secrets
from contextlib import suppress
from typing import Any, Final

from workers.contract.broker.connection import masked, masked_in
from workers.contract.errors import ShakeoutWorkerError

FOLDERLESS: Final = frozenset(
    {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "memory"}
)
"""Object stores: an object is seen when it is complete, and there are no folders."""


class StoreError(ShakeoutWorkerError):
    """A file could not be written to, or read from, a URL; shows no login of it."""


def put(url: str, body: bytes) -> None:
    """Write a file; whoever reads it sees all of it, or what was there before. Raises StoreError."""
    system, path = _reach(url)
    protocols = (system.protocol,) if isinstance(system.protocol, str) else tuple(system.protocol)
    try:
        if not FOLDERLESS.isdisjoint(protocols):
            system.pipe_file(path, body)
            return
        system.makedirs(posixpath.dirname(path), exist_ok=True)
        new = f"{path}.{secrets.token_hex(4)}.new"
        try:
            system.pipe_file(new, body)
            system.mv(new, path)
        except BaseException:
            with suppress(Exception):
                system.rm(new)
            raise
    except Exception as error:  # file systems raise whatever their libraries do
        raise _explained(url, error) from error


def get(url: str) -> bytes:
    """All of a small file. Raises StoreError."""
    system, path = _reach(url)
    try:
        return bytes(system.cat_file(path))
    except Exception as error:
        raise _explained(url, error) from error


def _reach(url: str) -> tuple[Any, str]:
    import fsspec  # noqa: PLC0415  # most workers never need it

    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        what = f"files at {url.partition('://')[0]}:// need another package on this worker"
        raise StoreError(f"{masked(url)}: {what} ({error})") from error
    except Exception as error:
        raise _explained(url, error) from error
    return system, str(path)


def _explained(url: str, error: Exception) -> StoreError:
    why = (
        error.strerror
        if isinstance(error, OSError) and error.strerror
        else f"{type(error).__name__}: {error}"
    )
    return StoreError(f"{masked(url)}: {masked_in(why, url)}")
