"""Code of the users' own: run only from folders that this worker's operator listed, and only as submitted."""

import hashlib
from pathlib import Path, PurePosixPath

from workers.contract.errors import ShakeoutWorkerError
from workers.contract.spec import FileRef
from workers.settings import Settings


class UserCodeRefusedError(ShakeoutWorkerError):
    """A locustfile is in no folder that this worker lists, or has another content there."""


def find_code(ref: FileRef, settings: Settings) -> str:
    """Where the file that was submitted as `ref` stands here. Raises UserCodeRefusedError, which says why.

    Nothing is fetched: the name leads into a listed folder, and the content must have the sha256 that was
    submitted. The engine looks at the content once more as it runs it.
    """
    who = f"worker {settings.name}"
    if not settings.user_code:
        raise UserCodeRefusedError(
            f"{who} runs no code of users: start it with --user-code DIR (or SHAKEOUT_USER_CODE), "
            f"with a copy of {ref.name} in DIR"
        )
    listed = ", ".join(str(folder) for folder in settings.user_code)
    if PurePosixPath(ref.name).is_absolute() or ".." in PurePosixPath(ref.name).parts:
        raise UserCodeRefusedError(f"{who} refuses locustfile {ref.name}: it must lie inside {listed}")
    found = ""
    for folder in settings.user_code:
        file = (folder / ref.name).resolve()
        if not file.is_relative_to(folder.resolve()) or not file.is_file():
            continue
        if _sha256(file) == ref.sha256:
            return str(file)
        found = found or str(file)
    if found:
        raise UserCodeRefusedError(
            f"{who} has another {ref.name} than was submitted, {found}: copy the submitted one there"
        )
    raise UserCodeRefusedError(f"{who} has no {ref.name} in {listed}: copy it there, or list its folder")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
