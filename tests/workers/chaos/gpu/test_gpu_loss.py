"""gpu-loss from order to end: a real server that says which GPUs it was started with."""

import os
import secrets
import signal
import stat
import sys
from pathlib import Path

import msgspec
import pytest

from workers.chaos.contract import HostRules, Match
from workers.chaos.processes import look_at_all

SERVER = "import signal; print('up', flush=True); signal.pause()"
START = """#!{python}
import os, subprocess, sys
subprocess.Popen([sys.executable, "-c", {server!r}, {mark!r}], stdin=subprocess.DEVNULL,
                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
"""


@pytest.fixture
def service(tmp_path):
    """A server with a start command in a listed folder; all that it started is ended afterwards."""
    mark = f"server-{secrets.token_hex(6)}"  # others may run these tests on this host
    folder = tmp_path / "listed"
    folder.mkdir()
    start = folder / "start"
    start.write_text(START.format(python=sys.executable, server=SERVER, mark=mark))
    start.chmod(start.stat().st_mode | stat.S_IXUSR)
    yield mark, folder
    for process in _servers(mark):
        os.kill(process.pid, signal.SIGKILL)


def _servers(mark):
    return [one for one in look_at_all().values() if one.argv[-1:] == (mark,) and one.state not in "ZX"]


def _sees(mark):
    """What the one server that runs was started with: the kernel's word, not the fault's."""
    found = _servers(mark)
    if len(found) != 1:
        return f"{len(found)} servers"
    try:
        words = Path(f"/proc/{found[0].pid}/environ").read_text().split("\0")
    except OSError:
        return "a server that is just ending"
    return next((word.partition("=")[2] for word in words if word.startswith("CUDA_VISIBLE_DEVICES=")), None)


@pytest.fixture
def order(make_order, service):
    mark, folder = service

    def make(**more):
        options = {"start": ["start"], **more.pop("options", {})}
        match = Match(cmdline=f" {mark}$")
        one = make_order(match, fault="gpu-loss", options=options, **more)
        return msgspec.structs.replace(one, rules=HostRules(worker="a", user_code=(str(folder),)))

    return make


def test_the_target_comes_back_with_fewer_gpus_and_afterwards_with_all(
    monkeypatch, orphan, agent, order, service, until
):
    mark, _ = service
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,3")
    target = orphan(SERVER, mark)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    one = agent(order())
    assert one.until_event("injected").touched == ("CUDA_VISIBLE_DEVICES of the target: 0,1",)
    assert one.until_event("verified").took_effect
    assert target.state() in ("gone", "Z")
    assert _sees(mark) == "0,1"
    one.stop.write_text("seen enough")
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", True)
    until(lambda: _sees(mark) == "0,1,3")
    assert one.open_entries() == one.guardians() == []


def test_a_target_without_the_variable_loses_the_last_of_the_hosts_gpus(
    gpus, orphan, agent, order, service, until
):
    mark, _ = service
    orphan(SERVER, mark)
    one = agent(order())
    assert one.until_event("verified").took_effect
    assert _sees(mark) == "0"
    one.stop.write_text("seen enough")
    assert one.rest()[-1].took_effect
    until(lambda: _sees(mark) is None)


def test_it_gets_its_gpus_back_though_the_agent_is_killed(monkeypatch, orphan, agent, order, service, until):
    mark, _ = service
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    orphan(SERVER, mark)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    one = agent(order(options={"lose": "all"}))
    one.until_event("verified")
    assert _sees(mark) == ""
    os.kill(one.process.pid, signal.SIGKILL)
    until(lambda: _sees(mark) == "4,5", 15.0)  # 5 s are promised, with a start that takes none
    until(lambda: one.open_entries() == one.guardians() == [])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lose": 3}, "lose 3: the target sees 2 GPUs (4, 5)"),
        ({"start": ["/bin/start"]}, "refuses command /bin/start"),
        ({"start": ["other"]}, "has no command other"),
        ({"within": "2h"}, "must be at most 60s"),
    ],
)
def test_what_cannot_be_done_is_refused_and_kills_nobody(
    monkeypatch, orphan, agent, order, service, options, words
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    target = orphan(SERVER, service[0])
    (failed,) = agent(order(options=options)).rest()
    assert failed.what == "failed"
    assert words in failed.why
    assert target.state() == "S"


def test_a_start_that_fails_is_no_effect_and_said_with_its_words(
    monkeypatch, orphan, agent, order, service, until
):
    mark, folder = service
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    orphan(SERVER, mark)
    good = (folder / "start").read_text()
    (folder / "start").write_text(f"#!{sys.executable}\nraise SystemExit('no such service')\n")
    one = agent(order(for_s=1.0))
    assert not one.until_event("verified").took_effect
    residue = one.until_event("residue")
    assert "the target is not started again: start ended with 1: no such service" in residue.why
    (folder / "start").write_text(good)
    until(lambda: _sees(mark) == "4,5" and one.open_entries() == [])
