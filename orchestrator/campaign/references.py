"""References to secrets: `${env:NAME}` and `${file:NAME}`, only where CAMPAIGN.md section 2 allows them."""

import re
from collections.abc import Iterator
from typing import Final

from orchestrator.campaign.findings import Finding
from orchestrator.campaign.yaml_reader import Path

_OPENING: Final = re.compile(r"\$\$\{|\$\{")
_REFERENCE: Final = re.compile(r"\$\{(?:env|file):[A-Za-z_][A-Za-z0-9_]*\}")
_ANY: Final = re.compile(r"\$\{[^{}]*\}")
_ALLOWED: Final = ("url", "headers", "tls", "announce")
_OF_FAULTS: Final = frozenset({"env", "headers", "body"})


def check_references(document: object) -> Iterator[Finding]:
    """Each reference that is malformed, or stands where none is allowed."""
    for path, text in _texts(document, ()):
        for opening in _OPENING.finditer(text):
            if opening[0] == "$${":
                continue
            offset = opening.start()
            if not _may_hold(path):
                yield Finding(
                    path,
                    "a reference to a secret stands only in url, headers, tls, announce"
                    " (of a fault: env, headers, body)",
                    "a literal ${ is written $${",
                    offset,
                )
            elif not _REFERENCE.match(text, offset):
                yield Finding(
                    path,
                    "not a reference to a secret",
                    "say ${env:NAME}, its NAME of A-Z, a-z, 0-9 and _; a literal is $${",
                    offset,
                )


def without_references(text: str) -> str:
    """The text with a digit in place of each reference, so that the rest of its form can be checked.

    A digit, because a host, a port and a path may each hold one. What only looks like a reference counts too.
    """
    return _ANY.sub("1", text)


def literal(document: object, path: Path = ()) -> object:
    """The document with `$${` read as `${` wherever no reference may stand; elsewhere the worker reads it."""
    if isinstance(document, dict):
        return {key: literal(value, (*path, key)) for key, value in document.items()}
    if isinstance(document, list):
        return [literal(value, (*path, index)) for index, value in enumerate(document)]
    if isinstance(document, str) and not _may_hold(path):
        return document.replace("$${", "${")
    return document


def _may_hold(path: Path) -> bool:
    """`targets.NAME.{url,headers,tls}`, `gameday.announce`, and `{env,headers,body}` in a fault's `with`."""
    in_target = len(path) > 2 and path[0] == "targets" and path[2] in _ALLOWED
    in_fault = path[:1] == ("phases",) and "with" in path
    return (
        in_target
        or (in_fault and not _OF_FAULTS.isdisjoint(path[path.index("with") :]))
        or path[:2] == ("gameday", "announce")
    )


def _texts(document: object, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(document, dict):
        for key, value in document.items():
            yield from _texts(value, (*path, key))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from _texts(value, (*path, index))
    elif isinstance(document, str):
        yield path, document
