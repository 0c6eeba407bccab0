"""docs/security.md says which test attacks which wall: they are there, and they run."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text()
WALLS = [line for line in PAGE.splitlines() if line.startswith("| ") and "`tests/" in line]
NAMED = sorted(set(re.findall(r"`(tests/[^`]+\.py)`", PAGE)))


def test_every_wall_has_a_test() -> None:
    assert len(WALLS) >= 15
    under = PAGE.partition("## Which test attacks which wall")[2].splitlines()
    rows = [line for line in under if line.startswith("| ")][1:]
    assert [row for row in rows if "`tests/" not in row] == []


@pytest.mark.parametrize("name", NAMED)
def test_every_named_test_is_there_and_holds_tests(name: str) -> None:
    text = (ROOT / name).read_text()
    assert re.search(r"^(?:async )?def test_", text, re.MULTILINE)
    assert "pytest.mark.skip(" not in text
