"""What a stranger installs: pins that fit, data files that travel, commands that start."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = ("orchestrator", "workers", "locustfiles")


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def requirements() -> list[Requirement]:
    project = PROJECT["project"]
    return [
        Requirement(text) for text in (*project["dependencies"], *project["optional-dependencies"]["dev"])
    ]


@pytest.mark.parametrize("file", ["constraints.txt", "constraints-targets.txt"])
def test_constraints_hold_names_and_versions_alone(file):
    lines = (ROOT / file).read_text().splitlines()
    odd = [line for line in lines if not re.fullmatch(r"#.*|[a-z0-9-]+==[0-9][A-Za-z0-9.]*", line)]
    assert not odd


@pytest.mark.parametrize("requirement", requirements(), ids=lambda one: one.name)
def test_every_dependency_is_pinned_to_a_version_that_it_allows(requirement):
    pinned = pins().get(canonicalize_name(requirement.name))
    assert pinned is not None, f"{requirement.name} is not in constraints.txt"
    assert requirement.specifier.contains(pinned), (
        f"{requirement.name}=={pinned} is not {requirement.specifier}"
    )


def test_every_data_file_of_the_packages_is_installed_with_them():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    left = []
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if not path.is_file() or path.suffix == ".py" or "__pycache__" in path.parts:
                continue
            at_home = (path.parent / "__init__.py").exists()  # setuptools looks for data in packages alone
            if not at_home or not any(fnmatch(path.name, pattern) for pattern in patterns):
                left.append(str(path.relative_to(ROOT)))
    assert not left


def test_every_folder_of_code_is_a_package():
    bare = {
        str(path.parent.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if not (path.parent / "__init__.py").exists()
    }
    assert not bare


def test_the_console_script_is_the_command_line():
    (script,) = entry_points(group="console_scripts", name="shakeout")
    assert script.value == PROJECT["project"]["scripts"]["shakeout"]
    command = [sys.executable, "-m", "orchestrator", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "validate" in done.stdout


def test_the_licence_is_whole():
    text = (ROOT / "LICENSE").read_text()
    assert text.lstrip().startswith("Apache License")
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_changelog_knows_the_version():
    assert f"## {PROJECT['project']['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_gate_can_be_run_and_fails_when_a_step_does():
    gate = ROOT / ".ci" / "run"
    assert gate.stat().st_mode & stat.S_IXUSR
    subprocess.run(["bash", "-n", gate], check=True, timeout=10)
    lines = [line for line in gate.read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "set -euo pipefail"
    assert lines[-2:] == ["make --no-print-directory check", "make --no-print-directory test"]


def test_make_knows_every_target_that_it_is_asked_for(tmp_path):
    make = shutil.which("make")
    if make is None:
        pytest.skip("needs make")
    # an empty folder: each target then begins with the installation, which is printed and not done
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "constraints.txt", "constraints-targets.txt"):
        (tmp_path / name).touch()
    environment = {"PATH": os.environ["PATH"]}
    for target in ("install", "demo", "test", "check", "docs", "bench", "clean"):
        command = [make, "-n", target]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True, timeout=10
        )
        assert done.returncode == 0, done.stderr
        assert ("'.[dev]'" in done.stdout) == (target != "clean"), target
