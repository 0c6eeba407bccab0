"""The proxy's process: where it may lead to, who may command it, and when it ends."""

import shutil
import stat
import subprocess
import sys

import msgspec
import pytest

from workers.chaos.network.proxy_wire import CONTROL, End, Look, ProxyAwayError, ask, folder_of, is_standing
from workers.chaos.processes import look
from workers.proxy.__main__ import ORDER, ProxyOrder


def _refused(tmp_path, *, external="127.0.0.1", **order):
    folder = folder_of(tmp_path, 1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ORDER).write_bytes(msgspec.json.encode(ProxyOrder(bind=external, **order)))
    command = [sys.executable, "-m", "workers.proxy", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    return done.stdout


def test_an_upstream_off_the_allow_list_is_refused_with_a_way_out(tmp_path):
    said = _refused(tmp_path, port=1, upstream="192.0.2.1:6379")
    assert "192.0.2.1:6379 is not on this worker's allow-list" in said
    assert "--allow-target 192.0.2.1:6379" in said


def test_a_name_is_judged_by_the_address_that_it_leads_to(tmp_path):
    said = _refused(tmp_path, port=1, upstream="0.0.0.0:6379", allow_targets=("10.0.0.0/8",))
    assert "not on this worker's allow-list" in said


def test_what_is_on_loopback_is_shown_to_others_by_the_operator_alone(tmp_path, proxy, serving, free_port):
    upstream = serving()
    said = _refused(tmp_path, port=free_port(), upstream=upstream.address, external="0.0.0.0")
    assert "is on loopback, and the proxy is not" in said
    with proxy(upstream.address, bind="0.0.0.0", trusted=True).connect() as line:
        line.sendall(b"x")
        assert line.recv(1) == b"x"


def test_a_port_that_is_taken_is_said(tmp_path, serving):
    port = serving().port
    assert f"cannot listen on 127.0.0.1 port {port}: " in _refused(
        tmp_path, port=port, upstream="127.0.0.1:1"
    )


def test_only_its_own_user_may_command_it(serving, proxy):
    standing = proxy(serving().address)
    assert stat.S_IMODE((standing.folder / CONTROL).stat().st_mode) == 0o600


def test_it_says_of_itself_what_a_next_life_has_to_know(serving, proxy):
    upstream = serving()
    standing = proxy(upstream.address, worker="w7")
    found = standing.ask(Look())
    assert (found.port, found.upstream, found.worker) == (standing.port, upstream.address, "w7")
    assert found.who == look(standing.process.pid).identity()


def test_a_long_path_to_its_folder_is_no_trouble(serving, proxy, tmp_path):
    home = tmp_path / ("deep" * 30)
    folder = folder_of(home, 1)
    with pytest.raises(ProxyAwayError):
        ask(folder, Look())
    standing = proxy(serving().address)
    folder.parent.mkdir(parents=True)
    folder.symlink_to(standing.folder)
    assert ask(folder, Look()).port == standing.port


def test_it_ends_when_told_and_leaves_no_file(serving, proxy, stage_until):
    standing = proxy(serving().address)
    standing.ask(End())
    stage_until(lambda: standing.process.poll() is not None)
    assert not standing.folder.exists()


def test_it_ends_when_its_folder_is_gone(serving, proxy, stage_until):
    standing = proxy(serving().address)
    shutil.rmtree(standing.folder)
    stage_until(lambda: standing.process.poll() is not None)


def test_it_ends_with_the_process_that_it_was_told_to_end_with(serving, proxy, stage_until):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        standing = proxy(serving().address, ends_with=look(other.pid).identity())
        assert is_standing(standing.folder)
        other.kill()
    stage_until(lambda: standing.process.poll() is not None)


def test_who_says_nonsense_to_it_is_not_answered_and_does_no_harm(serving, proxy):
    import os
    import socket

    standing = proxy(serving().address)
    here = os.open(standing.folder, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(f"/proc/self/fd/{here}/{CONTROL}")
        line.sendall(b"{]\n")
        assert line.recv(10) == b""
    os.close(here)
    assert standing.ask(Look()).held == ""
