"""Files behind fsspec URLs (a plain path is local): read whole, written whole or not at all, removed.

File systems raise whatever their libraries raise; here it becomes OSError, and a URL that cannot work at all
becomes UsageError.
"""

import posixpath
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import fsspec

from orchestrator.errors import UsageError
from workers.contract.broker.connection import masked, masked_in

CHUNK_BYTES: Final = 1024 * 1024
WHOLE_BY_NATURE: Final = frozenset(
    {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "memory"}
)
"""Object stores: an object is seen when it is complete, there are no folders, and a rename is a copy."""
PACKAGES: Final = {
    "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs",
    "az": "adlfs", "abfs": "adlfs", "abfss": "adlfs",
    "sftp": "paramiko", "ssh": "paramiko", "http": "aiohttp", "https": "aiohttp",
}  # fmt: skip
"""What fsspec needs beside itself."""


def put(url: str, body: bytes) -> None:
    """Write a file; whoever reads it sees all of it, or what was there before. Raises OSError, UsageError."""
    with _reaching(url) as (system, path):
        if not WHOLE_BY_NATURE.isdisjoint(_protocols(system)):
            system.pipe_file(path, body)
        else:
            system.makedirs(posixpath.dirname(path), exist_ok=True)
            _write_and_rename(system, path, body)


def get(url: str) -> bytes:
    """All of a file. Raises OSError (FileNotFoundError where there is none), UsageError."""
    with _reaching(url) as (system, path):
        return bytes(system.cat_file(path))


def exists(url: str) -> bool:
    """Whether there is a file or folder now, whoever made it. Raises OSError, UsageError."""
    with _reaching(url) as (system, path):
        system.invalidate_cache()
        return bool(system.exists(path))


def remove_folder(url: str) -> None:
    """Remove a folder with all that is in it, if there is one. Raises OSError, UsageError."""
    with _reaching(url) as (system, path):
        system.invalidate_cache()
        if system.exists(path):
            system.rm(path, recursive=True)


def names_in(url: str) -> tuple[str, ...]:
    """Names of the files in a folder, in order; none where there is no folder. Raises OSError, UsageError."""
    with _reaching(url) as (system, path):
        system.invalidate_cache()
        if not system.exists(path):
            return ()
        return tuple(sorted(posixpath.basename(str(name)) for name in system.ls(path, detail=False)))


def is_plain_folder(url: str) -> bool:
    """Whether there is a folder, and no link to one. Raises OSError, UsageError."""
    with _reaching(url) as (system, path):
        try:
            found = system.info(path)
        except FileNotFoundError:
            return False
        return found["type"] == "directory" and not found.get("islink")


@contextmanager
def opened(url: str) -> Iterator[Any]:
    """A file to be read piecemeal, as Python opens files. Raises OSError, UsageError."""
    with _reaching(url) as (system, path), system.open(path, "rb") as file:
        yield file


def chunks(url: str) -> Iterator[bytes]:
    """A file in pieces of 1 MiB. Raises OSError, UsageError."""
    with _reaching(url) as (system, path), system.open(path, "rb", block_size=CHUNK_BYTES) as file:
        while piece := file.read(CHUNK_BYTES):
            yield piece


@contextmanager
def _reaching(url: str) -> Iterator[tuple[Any, str]]:
    """The file system behind a URL and the path in it; what is raised meanwhile becomes ours."""
    try:
        system, path = fsspec.core.url_to_fs(url)
        yield system, str(path)
    except (OSError, UsageError):
        raise
    except ImportError as error:
        protocol = url.partition("://")[0]
        package = PACKAGES.get(protocol)
        how = f"pip install {package}" if package else str(error)
        raise UsageError(f"{masked(url)}: files at {protocol}:// need another package here: {how}") from error
    except Exception as error:
        if isinstance(error, ValueError) and "rotocol not known" in str(error):
            known = "file://, s3://, gs://, abfs://, sftp://, https:// and others that fsspec knows"
            raise UsageError(f"{masked(url)}: there is no such kind of URL; say one of {known}") from error
        why = masked_in(f"{type(error).__name__}: {error}", url)
        raise OSError(f"{masked(url)}: {why}") from error


def _write_and_rename(system: Any, path: str, body: bytes) -> None:
    new = f"{path}.{secrets.token_hex(4)}.new"  # a leader that stalled may write the same file
    try:
        system.pipe_file(new, body)
        try:
            system.mv(new, path)
        except OSError:
            if not system.exists(path):
                raise
            system.rm_file(path)  # some refuse to rename onto a file
            system.mv(new, path)
    except BaseException:
        with suppress(Exception):
            system.rm(new)
        raise


def _protocols(system: Any) -> tuple[str, ...]:
    return (system.protocol,) if isinstance(system.protocol, str) else tuple(system.protocol)
