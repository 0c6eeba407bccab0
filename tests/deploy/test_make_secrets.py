"""deploy/make_secrets.py: what it writes, what it keeps, and how passwords and keys are exchanged."""

import hashlib
import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from workers.contract.signed.signing import read_keys

PROGRAM = Path(__file__).parent.parent.parent / "deploy" / "make_secrets.py"
Read = Callable[[Path], dict[str, str]]


def make(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, PROGRAM, "--to", folder, *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def hashes(folder: Path, user: str) -> list[str]:
    lines = (folder / "redis" / "users.acl").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"user {user} "))
    return [word[1:] for word in line.split() if word.startswith("#")]


def password(environment: dict[str, str]) -> str:
    return environment["SHAKEOUT_BROKER"].partition("@")[0].rpartition(":")[2]


def sum_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_secrets_are_for_their_owner_alone_and_differ_everywhere(secrets, read_environment: Read) -> None:
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    for path in secrets.iterdir():
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    state = json.loads((secrets / "state.json").read_text())["secrets"]
    values = [value for kept in state.values() for value in kept]
    assert len(set(values)) == len(values) >= 9
    acl = (secrets / "redis" / "users.acl").read_text()
    assert not [value for value in values if value in acl]


def test_the_password_in_an_address_is_the_one_that_the_server_knows(secrets, read_environment: Read) -> None:
    for role in ("coordinator", "worker", "submitter", "operator", "flower"):
        known = password(read_environment(secrets / f"{role}.env"))
        assert hashes(secrets, role) == [sum_of(known)]


def test_coordinator_and_worker_believe_each_submitter_and_nobody_else(
    tmp_path, read_environment: Read
) -> None:
    assert make(tmp_path, "--submitter", "ci", "--submitter", "ada").returncode == 0
    believed = read_keys(read_environment(tmp_path / "worker.env")["SHAKEOUT_SUBMITTER_KEYS"])
    assert {key.name for key in believed.keys} == {"submitter", "operator", "ci", "ada"}
    for name in ("ci", "operator"):
        own = read_keys(read_environment(tmp_path / f"{name}.env")["SHAKEOUT_SIGNING_KEY"]).own
        assert own in believed.keys
    coordinator = read_environment(tmp_path / "coordinator.env")
    assert read_keys(coordinator["SHAKEOUT_SIGNING_KEY"]).own not in believed.keys
    assert coordinator["SHAKEOUT_SUBMITTER_KEYS"] == ",".join(f"{k.name}={k.secret}" for k in believed.keys)
    assert "//submitter:" in read_environment(tmp_path / "ci.env")["SHAKEOUT_BROKER"]


def test_run_again_it_keeps_all(tmp_path) -> None:
    make(tmp_path, "--server-address", "rediss://redis.internal:6380", "--server", "7.0")
    before = files(tmp_path)
    assert "@redis.internal:6380/0" in before["worker.env"]
    assert make(tmp_path).returncode == 0
    assert files(tmp_path) == before


def test_a_rotated_password_is_new_while_the_old_one_still_opens(tmp_path, read_environment: Read) -> None:
    make(tmp_path)
    old = password(read_environment(tmp_path / "worker.env"))
    inode = (tmp_path / "redis" / "users.acl").stat().st_ino
    assert make(tmp_path, "--rotate", "worker").returncode == 0
    new = password(read_environment(tmp_path / "worker.env"))
    assert new != old
    assert hashes(tmp_path, "worker") == [sum_of(new), sum_of(old)]
    assert (tmp_path / "redis" / "users.acl").stat().st_ino == inode  # a mounted file must stay the same file
    assert make(tmp_path, "--forget", "worker").returncode == 0
    assert hashes(tmp_path, "worker") == [sum_of(new)]


def test_a_rotated_key_signs_while_the_old_one_is_still_believed(tmp_path, read_environment: Read) -> None:
    make(tmp_path)
    old = read_keys(read_environment(tmp_path / "worker.env")["SHAKEOUT_SIGNING_KEY"])
    make(tmp_path, "--rotate", "key:coordinator")
    both = read_keys(read_environment(tmp_path / "worker.env")["SHAKEOUT_SIGNING_KEY"])
    assert both.own not in old.keys
    assert both.keys[1:] == old.keys


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--rotate", "nobody"], "there is no secret 'nobody': say one of"),
        (["--submitter", "Ada Lovelace"], "is no name for a submitter"),
        (["--submitter", "worker"], "is no name for a submitter"),
        (["--server-address", "redis.internal"], "say HOST:PORT"),
        (["--server", "5.0"], "is no server's version from 6.2 on"),
    ],
)
def test_what_can_not_be_done_is_said_and_nothing_is_written(tmp_path, words, why) -> None:
    done = make(tmp_path / "new", *words)
    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_damaged_state_is_never_overwritten(tmp_path) -> None:
    (tmp_path / "state.json").write_text("{")
    done = make(tmp_path)
    assert done.returncode == 2
    assert "state.json cannot be read" in done.stderr
    assert files(tmp_path) == {"state.json": "{"}


def test_an_older_server_gets_words_that_it_knows(tmp_path) -> None:
    make(tmp_path / "a", "--server", "7.0")
    make(tmp_path / "b", "--server", "6.2")
    newer, older = ((tmp_path / name / "redis" / "users.acl").read_text() for name in "ab")
    assert "%R~" in newer
    assert "setinfo" not in newer
    assert "%" not in older
    assert "setinfo" not in older
