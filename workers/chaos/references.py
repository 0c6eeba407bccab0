"""Secrets that options of faults refer to: looked up where and when they are used, and written down nowhere.

Options stand in the ledger as they were written, references and all. The agent and the worker's next life
have the worker's own environment; a guardian is given the variables that its fault refers to, and no others.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress

from workers.contract import references
from workers.contract.errors import FaultError

MOST_BYTES = 64 * 1024
MASK = "***"


def fill(text: str, folder: str) -> str:
    """The text with its secrets, those of files from `folder`. Raises FaultError, which names the reference.

    For the moment of use: the result goes into no event, error or command line.
    """
    return references.fill(text, lambda source, name: _value(source, name, folder))


def needed(options: Mapping[str, object], folder: str) -> dict[str, str]:
    """Variables of the environment that these options refer to, with their values.

    Raises FaultError where one is not set here, is the worker's own, or a file cannot be read.
    """
    from workers.contract.signed.trust import SECRET_VARIABLES  # noqa: PLC0415  # a guardian needs none of it

    found: dict[str, str] = {}
    for source, name in references.referred(_texts(options)):
        if source == "env" and name in SECRET_VARIABLES:
            raise FaultError(f"${{env:{name}}} is a secret of the worker's own: no fault may have it")
        value = _value(source, name, folder)
        if source == "env":
            found[name] = value
    return found


def values(options: Mapping[str, object], folder: str) -> tuple[str, ...]:
    """Every secret that the options refer to, as far as it can be had: what nobody may see."""
    found: list[str] = []
    for source, name in references.referred(_texts(options)):
        with suppress(FaultError):
            found.append(_value(source, name, folder))
    return tuple(filter(None, found))


def mask(words: str, options: Mapping[str, object], folder: str) -> str:
    """The words without any secret that the options refer to."""
    for secret in values(options, folder):
        words = words.replace(secret, MASK)
    return words


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _texts(key)
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def _value(source: references.Source, name: str, folder: str) -> str:
    if source == "env":
        value = os.environ.get(name)
        if value is None:
            raise FaultError(f"${{env:{name}}} is not set on this worker: set {name} in its environment")
        return value
    try:
        with open(os.path.join(folder, name), "rb") as file:  # noqa: PTH118, PTH123  # pathlib costs 6 ms
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise FaultError(
            f"${{file:{name}}} cannot be read on this worker ({error.strerror}): "
            "put that file into the directory that SHAKEOUT_SECRETS names"
        ) from error
    if len(content) > MOST_BYTES:
        raise FaultError(f"${{file:{name}}} on this worker is over {MOST_BYTES} bytes")
    return content.decode("utf-8", "replace").rstrip("\r\n")
