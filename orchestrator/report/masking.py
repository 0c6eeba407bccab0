"""Keeps secrets out of what a report repeats of the campaign file: header values and passwords in URLs."""

import re
from collections.abc import Iterator

from orchestrator.campaign.models import Campaign

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
    text = _USERINFO.sub(MASK, text)
    return _QUERY.sub(rf"\1{MASK}", text)


def masked_set(text: str, campaign: Campaign) -> str:
    """One `--set PATH=VALUE`; a header's value goes unless it is only a reference."""
    _, _, value = text.partition("=")
    if _REFERENCE.search(value) is None:
        text = _HEADER_SET.sub(rf"\1{MASK}", text)
    return masked_text(text, campaign)


def _literals(campaign: Campaign) -> Iterator[tuple[str, str]]:
    """Names and values of all headers whose value stands in the file itself."""
    for target in campaign.targets.values():
        for name, value in target.headers.items():
            if value.strip() and _REFERENCE.search(value) is None:
                yield name, value
