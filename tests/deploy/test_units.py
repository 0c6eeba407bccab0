"""deploy/systemd: as systemd itself reads the units, and how exposed it finds them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = Path(__file__).parent.parent.parent / "deploy" / "systemd"
PROGRAM = "/opt/shakeout/bin/shakeout"
SERVICES = ("shakeout-coordinator.service", "shakeout-worker@chat-1.service", "shakeout-flower.service")
MOST_EXPOSED = 2.0
"""systemd's own measure, from 0 to 10; below 2 is its `OK`."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units with a program that exists, one worker enabled."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    folder = tmp_path_factory.mktemp("units")
    shakeout = Path(sys.executable).parent / "shakeout"
    for path in UNITS.glob("*.service"):
        text = path.read_text()
        assert PROGRAM in text
        name = path.name.replace("@.", "@chat-1.")
        (folder / name).write_text(text.replace(PROGRAM, str(shakeout)))
    return folder


def analyze(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *words], check=False, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("name", SERVICES)
def test_systemd_finds_nothing_to_say_about_a_unit(installed, name) -> None:
    done = analyze("verify", str(installed / name))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", SERVICES)
def test_systemd_finds_a_unit_well_closed(installed, name) -> None:
    done = analyze("security", "--offline=true", str(installed / name))
    assert float(re.findall(r"exposure level for \S+: (\d+\.\d)", done.stdout)[0]) < MOST_EXPOSED


@pytest.mark.parametrize("drop_in", ["chaos.conf", "gpu.conf", "host-chaos.conf", "network-chaos.conf"])
def test_a_drop_in_is_understood_and_opens_what_it_says(installed, tmp_path, drop_in) -> None:
    # a drop-in of a unit that is looked up by its path does not count: as its last lines it does
    unit = tmp_path / "shakeout-worker@chat-1.service"
    unit.write_text((installed / unit.name).read_text() + (UNITS / drop_in).read_text())
    done = analyze("verify", str(unit))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_user_of_the_units_is_the_one_that_sysusers_makes() -> None:
    (line,) = (line for line in (UNITS / "shakeout.sysusers").read_text().splitlines() if line[:1] == "u")
    for path in UNITS.glob("*.service"):
        assert f"User={line.split()[1]}" in path.read_text().splitlines()


def test_secrets_come_from_files_and_stand_in_no_unit() -> None:
    for path in UNITS.glob("*.service"):
        role = path.name.removeprefix("shakeout-").partition(".")[0].rstrip("@")
        lines = path.read_text().splitlines()
        assert f"EnvironmentFile=/etc/shakeout/{role}.env" in lines
        assert not [line for line in lines if re.match(r"Environment=.*(BROKER|KEY|PASSWORD)", line)]


def test_guardians_outlive_a_worker_that_is_stopped_or_killed() -> None:
    lines = (UNITS / "shakeout-worker@.service").read_text().splitlines()
    assert "KillMode=process" in lines


def test_a_worker_outlives_what_the_kernel_takes_for_want_of_memory() -> None:
    lines = (UNITS / "shakeout-worker@.service").read_text().splitlines()
    assert "OOMPolicy=continue" in lines  # systemd's default stops the whole unit
