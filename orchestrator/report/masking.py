"""Keeps secrets out of what a report repeats of the campaign file: header values and passwords in URLs."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.campaign.composing import parts_of
from orchestrator.campaign.models import Campaign, ChaosActivity

MASK = "[masked]"
_TELLING = 8
"""A header's value of so many characters is masked wherever it stands, a shorter one only behind its name."""

_REFERENCE = re.compile(r"\$\{(?:env|file):[^}]*\}")
_USERINFO = re.compile(r"(?<=://)[^/@\s\"']+(?=@)")
_QUERY = re.compile(r"(?i)([?&](?:api[-_]?key|token|secret|password|sig(?:nature)?)=)[^&\s\"'#]+")
_HEADER_SET = re.compile(r"(?i)(\.headers\b[^=]*=).*", re.DOTALL)


def masked_text(text: str, campaign: Campaign) -> str:
    """A text with every header value masked; a reference like `${env:NAME}` is no secret and stays."""
    for name, value in _literals(campaign):
        behind = rf"(?i)({re.escape(name)}[\"']?\s*:\s*[\"']?){re.escape(value)}"
        text = re.sub(behind, rf"\1{MASK}", text)
        for part in (value, *value.split()):
            if len(part) >= _TELLING:
                text = text.replace(part, MASK)
    hook = _hook(campaign)
    text = _USERINFO.sub(MASK, text.replace(hook, MASK) if hook else text)
    return _QUERY.sub(rf"\1{MASK}", text)


def masked_set(text: str, campaign: Campaign) -> str:
    """One `--set PATH=VALUE`; a header's value goes unless it is only a reference."""
    _, _, value = text.partition("=")
    if _REFERENCE.search(value) is None:
        text = _HEADER_SET.sub(rf"\1{MASK}", text)
    return masked_text(text, campaign)


def _literals(campaign: Campaign) -> Iterator[tuple[str, str]]:
    """Names and values of all headers, and variables of faults, whose value stands in the file itself."""
    given: list[Mapping[str, Any]] = [target.headers for target in campaign.targets.values()]
    for phase in campaign.phases:
        for activity in phase.activities:
            if isinstance(activity, ChaosActivity):
                given += [table for part in parts_of(activity) for table in _tables(part.options)]
    for table in given:
        for name, value in table.items():
            if isinstance(value, str) and value.strip() and _REFERENCE.search(value) is None:
                yield name, value


def _hook(campaign: Campaign) -> str:
    """What of a webhook's URL is as good as a password: all behind its host, where it stands in the file."""
    url = campaign.gameday.announce if campaign.gameday is not None else None
    path = (url or "").partition("://")[2].partition("/")[2]
    return path if len(path) >= _TELLING and _REFERENCE.search(path) is None else ""


def _tables(options: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What a fault's options give to commands and calls."""
    for key, value in options.items():
        if isinstance(value, Mapping):
            yield from [value] if key in ("env", "headers") else _tables(value)
