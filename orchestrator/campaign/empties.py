"""Keys without a value: in YAML `duration:` alone is null, which no key of a campaign takes."""

from collections.abc import Iterator
from typing import Final

from orchestrator.campaign.findings import Finding
from orchestrator.campaign.yaml_reader import Path

IS_EMPTY: Final = "is empty; leave the key out or give it a value"
# What stands below these keys is not the campaign's own, and null may mean something there.
_FREE: Final = frozenset(("extra_body", "with", "compare", "submit", "done", "output"))


def check_empty(document: object, path: Path = ()) -> Iterator[Finding]:
    """Each key whose value is null."""
    if isinstance(document, dict):
        for key, value in document.items():
            if value is None:
                hint = "say demo: {}" if key == "demo" else ""
                yield Finding((*path, key), IS_EMPTY, hint)
            elif key not in _FREE:
                yield from check_empty(value, (*path, key))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from check_empty(value, (*path, index))
