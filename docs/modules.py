"""The list of modules at the end of ARCHITECTURE.md, from their first lines: `python docs/modules.py`."""

import ast
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "ARCHITECTURE.md"
PACKAGES = ("orchestrator", "workers", "locustfiles")
BEGIN, END = "<!-- modules: written by `make docs` -->", "<!-- end of modules -->"


def first_line(path: Path) -> str:
    """What a module says it is for: its docstring's first sentence, on one line; empty where it has none."""
    paragraph = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0]
    sentence = " ".join(paragraph.split()).split(". ")[0]
    return sentence.rstrip(".").replace("|", "\\|")


def listing() -> str:
    """The Markdown list, a folder a heading; empty packages are left out."""
    found = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    paths = sorted(found, key=lambda path: (path.parent, path.name))
    kept = [path for path in paths if path.name != "__init__.py" or ast.parse(path.read_text()).body]
    return "\n".join(
        line for folder, group in groupby(kept, lambda path: path.parent) for line in _folder(folder, group)
    )


def _folder(folder: Path, paths: Iterator[Path]) -> Iterator[str]:
    yield f"\n### {folder.relative_to(ROOT)}/\n"
    yield from (f"- `{path.name}`: {first_line(path)}" for path in paths)


def page(text: str) -> str:
    """ARCHITECTURE.md with its list made anew. Raises ValueError where the marks are missing."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{PAGE.name} lacks its marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{listing()}\n\n{END}{after}"


if __name__ == "__main__":
    made = page(PAGE.read_text())
    if "--check" in sys.argv and made != PAGE.read_text():
        sys.exit(f"{PAGE.name} does not list the modules as they are: run make docs")
    PAGE.write_text(made)
