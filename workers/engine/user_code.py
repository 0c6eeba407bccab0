"""Load a locustfile: exactly the content that was submitted, from a file that this worker's operator has."""

import hashlib
import inspect
import sys
import traceback
import types
from pathlib import Path

import gevent
from locust import LoadTestShape, User

from workers.contract.errors import EngineError
from workers.contract.spec import FileRef

IMPORT_WITHIN_S = 30.0
"""For a locustfile's own imports; one that waits longer at its top level would hold up the phase."""
MODULE = "locustfile"
MOST_BYTES = 16 * 2**20
LEAST_WEIGHT = 1e-9


def load_users(path: str, ref: FileRef) -> list[type[User]]:
    """The file's user classes that are not abstract, in its order.

    Raises EngineError, with the file's name and line, where it cannot be run or has no users.
    """
    source = _content(path, ref)
    module = types.ModuleType(MODULE)
    module.__file__ = path
    folder = str(Path(path).parent)
    sys.path.insert(0, folder)
    sys.modules[MODULE] = module
    try:
        with gevent.Timeout(IMPORT_WITHIN_S, TimeoutError(f"it took over {IMPORT_WITHIN_S:g} s to import")):
            exec(compile(source, path, "exec"), module.__dict__)  # noqa: S102  # user code, from a listed folder
    except (Exception, SystemExit) as error:
        raise EngineError(f"locustfile {ref.name}{_line(error, path)}: {_told(error)}") from error
    found = [one for one in vars(module).values() if _is_user(one)]
    if not found:
        raise EngineError(f"locustfile {ref.name} has no class made of locust.User that is not abstract")
    if any(
        inspect.isclass(one) and issubclass(one, LoadTestShape) and one is not LoadTestShape
        for one in vars(module).values()
    ):
        raise EngineError(
            f"locustfile {ref.name} has a LoadTestShape, but here `arrivals` says how many users there are: "
            "say users and ramp there, and take the shape out"
        )
    return list(dict.fromkeys(found))


def mixed(users: list[type[User]], *, count: int) -> list[type[User]]:
    """The class of each of `count` users: fixed counts first, then by weight, evenly mixed.

    The same on every shard, so that any split makes the same users.
    """
    found = [one for one in users for _ in range(one.fixed_count)]
    weighted = [one for one in users if not one.fixed_count] or users
    given = dict.fromkeys(weighted, 0)
    while len(found) < count:
        # the class that would be least ahead of its share
        picked = min(weighted, key=lambda one: (given[one] + 1) / max(one.weight, LEAST_WEIGHT))
        given[picked] += 1
        found.append(picked)
    return found[:count]


def _is_user(one: object) -> bool:
    return inspect.isclass(one) and issubclass(one, User) and not one.abstract


def _content(path: str, ref: FileRef) -> bytes:
    try:
        with Path(path).open("rb") as file:
            source = file.read(MOST_BYTES)
    except OSError as error:
        raise EngineError(f"locustfile {ref.name} cannot be read: {error.strerror}") from error
    if hashlib.sha256(source).hexdigest() != ref.sha256:
        raise EngineError(f"locustfile {ref.name} was changed since it was looked at; submit it again")
    return source


def _line(error: BaseException, path: str) -> str:
    """`, line 3`: the last line of the file itself that the error passed through."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return f", line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f", line {lines[-1]}" if lines else ""


def _told(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
