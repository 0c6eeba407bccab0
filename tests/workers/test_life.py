"""A worker's parts from its start to its end: proxies that its operator asks for, and what others left."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from workers.chaos.contract import Scene
from workers.chaos.ledger import Entry, write
from workers.chaos.network.proxy_wire import card as proxy_card
from workers.chaos.network.proxy_wire import folder_of
from workers.chaos.processes import boot_id, look
from workers.contract.left_ledgers import note, noted


def _echoes(port):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(b"x")
        return line.recv(1) == b"x"


def test_a_proxy_stands_as_long_as_its_worker_through_all_of_its_lives(stage, serving, free_port):
    port, home = free_port(), stage.folder / "home"
    words = f"{port}={serving().address}"
    worker = stage.worker("w1", "--proxy", words)
    assert _echoes(port)
    (shown,) = stage.until(lambda: stage.card().proxies)
    assert (shown.port, shown.campaign, shown.why) == (port, "", "")
    first = proxy_card(folder_of(home, port)).who
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert _echoes(port)
    again = stage.worker("w1", "--proxy", words)
    assert _echoes(port)
    assert proxy_card(folder_of(home, port)).who == first
    again.send_signal(signal.SIGTERM)
    assert again.wait(30) == 0
    with pytest.raises(ConnectionRefusedError):
        _echoes(port)
    assert not folder_of(home, port).exists()


def test_a_fault_that_an_earlier_run_left_elsewhere_is_undone_as_any_worker_starts(stage):
    ledger, notes = stage.folder / "out" / "work" / "local-1" / "ledger", stage.folder / "notes"
    with subprocess.Popen(["sleep", "60"]) as gone:
        agent = look(gone.pid).identity()
        gone.kill()
    with subprocess.Popen(["sleep", "60"]) as target:
        who = look(target.pid).identity()
        os.kill(target.pid, signal.SIGSTOP)
        stage.until(lambda: look(target.pid).state == "T")
        scene = Scene("k", str(ledger / "own"), 0.0, processes=(who,))
        write(
            ledger / "hang.json",
            Entry("c-1 hang:0:1", "hang", "pause-process", {}, scene, agent, boot_id(), 0.0),
        )
        note(notes, ledger)
        stage.worker("w1", SHAKEOUT_LEFT_LEDGERS=str(notes))
        assert look(target.pid).state == "S"
        target.kill()
    assert noted(notes) == ()
    assert not (stage.folder / "out" / "work").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [("9000", "say LISTEN=HOST:PORT"), ("0.0.0.0:{taken}=127.0.0.1:1", "cannot listen on 0.0.0.0 port")],
)
def test_a_proxy_that_cannot_stand_ends_the_worker_in_words(stage, serving, words, said):
    done = subprocess.run(
        [sys.executable, "-m", "workers", "--name", "w1", "--proxy", words.format(taken=serving().port)],
        env={**os.environ, "SHAKEOUT_BROKER": stage.url, "SHAKEOUT_HOME": str(stage.folder / "home")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
