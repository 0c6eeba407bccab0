"""An operator's commands: small shell scripts in a folder that the worker lists."""

import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from workers.chaos.contract import HostRules


@dataclass
class Listed:
    """The folder of listed commands; `world`: what they do, they do there."""

    folder: Path
    world: Path

    def write(self, name: str, *lines: str) -> str:
        """One more script; `$WORLD` is where it works."""
        half = self.folder / f"{name}.tmp"
        half.write_text("\n".join(("#!/bin/sh", f"WORLD={self.world}", *lines, "")))
        half.chmod(half.stat().st_mode | stat.S_IXUSR)
        half.replace(self.folder / name)  # it may be run at any moment
        return name

    def rules(self) -> HostRules:
        return HostRules(worker="w1", user_code=(str(self.folder),), secrets=str(self.folder))

    def has(self, name: str) -> bool:
        return (self.world / name).exists()


@pytest.fixture
def listed(tmp_path: Path) -> Listed:
    """Commands that break something (make a file), tell whether it is broken, and mend it."""
    made = Listed(tmp_path / "commands", tmp_path / "world")
    made.folder.mkdir()
    made.world.mkdir()
    made.write("break", 'touch "$WORLD/broken"', "echo broken")
    made.write("is-broken", 'test -e "$WORLD/broken"')
    made.write("mend", 'rm -f "$WORLD/broken"', 'echo "$$" >> "$WORLD/mended"')
    return made


@pytest.fixture
def order(make_order: Callable[..., object], listed: Listed) -> Callable[..., object]:
    """An order for the command fault with these scripts, or others."""

    def make(for_s: float = 30.0, **options: object) -> object:
        usual = {"inject": ["break"], "verify": ["is-broken"], "revert": ["mend"], "every": "100ms"}
        return make_order(
            None,
            fault="command",
            for_s=for_s,
            limit_s=60.0,
            options={**usual, **options},
            rules=listed.rules(),
        )

    return make
