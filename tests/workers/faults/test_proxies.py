"""A worker's proxies: they stand while they are wanted, outlive their worker, and are never there twice."""

import os
import signal
import subprocess
import sys

import pytest

from workers.chaos.network.proxy_wire import Keep, Look, ProxyAwayError, ask, card, folder_of, is_standing
from workers.chaos.processes import look_at_all
from workers.contract.proxies import ProxyWant, parse_proxy
from workers.faults import proxies as module
from workers.faults.proxies import Proxies, ProxyError

WORKER = """
import sys, signal
from pathlib import Path
from workers.contract.proxies import parse_proxy
from workers.faults.proxies import Proxies
proxies = Proxies(Path(sys.argv[1]), worker="w1", allow_targets=(), fate=lambda campaign: "live")
proxies.start()
proxies.stand("c-1", [parse_proxy(sys.argv[2])])
signal.pause()
"""


@pytest.fixture
def make(tmp_path):
    """Proxies of one life of a worker; whatever of them is left is ended."""
    made = []

    def start(*, own=(), live=(), worker="w1", allow=()):
        alive = set(live)
        proxies = Proxies(
            tmp_path,
            worker=worker,
            allow_targets=allow,
            own=own,
            fate=lambda campaign: "live" if campaign in alive else "over",
        )
        made.append((proxies, alive))
        proxies.start()
        return proxies, alive

    yield start
    for proxies, alive in made:
        alive.clear()
        proxies.close()


def _echo(line):
    line.sendall(b"x")
    return line.recv(1) == b"x"


def _listeners(port):
    return [
        one.pid
        for one in look_at_all().values()
        if "workers.proxy" in one.argv and one.argv[-1].endswith(f"/{port}")
    ]


def _connect(port):
    import socket

    return socket.create_connection(("127.0.0.1", port), timeout=20)


def test_one_of_the_workers_own_stands_from_its_start_to_its_end(make, serving, free_port, tmp_path):
    want = parse_proxy(f"{free_port()}={serving().address}")
    proxies, _ = make(own=[want])
    with _connect(want.port) as line:
        assert _echo(line)
    (shown,) = proxies.shown()
    assert (shown.port, shown.campaign, shown.why) == (want.port, "", "")
    proxies.close()
    with pytest.raises(ConnectionRefusedError):
        _connect(want.port)
    assert not folder_of(tmp_path, want.port).exists()


def test_one_of_the_workers_own_that_cannot_stand_ends_the_start_in_words(make, serving):
    with pytest.raises(ProxyError, match=r"cannot listen on 127\.0\.0\.1 port"):
        make(own=[ProxyWant(serving().port, "127.0.0.1:1")])


def test_one_of_the_workers_own_that_is_slow_to_answer_is_asked_again(
    make, serving, proxy, tmp_path, monkeypatch
):
    upstream = serving().address
    standing, slow = proxy(upstream, worker="w1"), []

    def asked(folder, command):
        """Its process stands still until it has once not answered."""
        if isinstance(command, Keep) and not slow:
            standing.process.send_signal(signal.SIGSTOP)
        try:
            return ask(folder, command)
        except ProxyAwayError as error:
            slow.append(error)
            standing.process.send_signal(signal.SIGCONT)
            raise

    monkeypatch.setattr(module, "ask", asked)
    proxies, _ = make(own=[parse_proxy(f"{standing.port}={upstream}")])
    assert [error.lives for error in slow] == [True]
    assert [one.why for one in proxies.shown()] == [""]
    assert card(folder_of(tmp_path, standing.port)).who.pid == standing.process.pid


def test_a_campaigns_proxy_stands_until_the_campaign_is_over(make, serving, free_port, stage_until, tmp_path):
    want = ProxyWant(free_port(), serving().address)
    proxies, live = make(live=["c-1"])
    proxies.stand("c-1", [want])
    proxies.stand("c-1", [want])
    stage_until(lambda: [one.why for one in proxies.shown()] == [""])
    with _connect(want.port) as line:
        assert _echo(line)
        live.clear()
        stage_until(lambda: proxies.shown() == ())
        assert line.recv(1) == b""
    assert not folder_of(tmp_path, want.port).exists()
    assert _listeners(want.port) == []


def test_an_upstream_off_the_allow_list_is_refused_and_shown(make, free_port, stage_until):
    proxies, _ = make(live=["c-1"])
    proxies.stand("c-1", [ProxyWant(free_port(), "192.0.2.7:80")])
    stage_until(lambda: proxies.shown()[0].refused)
    assert "--allow-target 192.0.2.7:80" in proxies.shown()[0].why


def test_what_the_operator_asks_for_is_allowed_by_that(make, free_port):
    want = ProxyWant(free_port(), "192.0.2.7:80")
    proxies, _ = make(own=[want])
    assert proxies.shown()[0].why == ""


def test_a_port_that_is_taken_is_tried_again_until_it_is_free(make, serving, free_port, stage_until):
    taken = serving()
    proxies, _ = make(live=["c-1"])
    proxies.stand("c-1", [ProxyWant(taken.port, serving().address)])
    stage_until(lambda: "cannot listen" in proxies.shown()[0].why)
    assert not proxies.shown()[0].refused
    taken.close()
    stage_until(lambda: proxies.shown()[0].why == "")


def test_a_proxy_outlives_its_killed_worker_and_is_kept_by_its_next_life(
    make, serving, free_port, stage_until, tmp_path
):
    want = ProxyWant(free_port(), serving().address)
    words = f"{want.port}={want.upstream}"
    with subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), words]) as worker:
        stage_until(lambda: is_standing(folder_of(tmp_path, want.port)))
        with _connect(want.port) as line:
            assert _echo(line)
            before = card(folder_of(tmp_path, want.port)).who
            worker.kill()
            worker.wait()
            assert _echo(line)
            proxies, live = make(live=["c-1"])
            (shown,) = proxies.shown()
            assert (shown.port, shown.campaign) == (want.port, "c-1")
            proxies.stand("c-1", [want])
            stage_until(lambda: proxies.shown()[0].why == "")
            assert ask(folder_of(tmp_path, want.port), Look()).who == before
            assert _echo(line)
            assert _listeners(want.port) == [before.pid]
            live.clear()
            stage_until(lambda: not is_standing(folder_of(tmp_path, want.port)))


def test_a_proxy_that_dies_is_stood_again(make, serving, free_port, stage_until, tmp_path):
    want = ProxyWant(free_port(), serving().address)
    proxies, _ = make(live=["c-1"])
    proxies.stand("c-1", [want])
    stage_until(lambda: is_standing(folder_of(tmp_path, want.port)))
    first = card(folder_of(tmp_path, want.port)).who
    os.kill(first.pid, signal.SIGKILL)
    stage_until(lambda: (found := card(folder_of(tmp_path, want.port))) and found.who != first)
    stage_until(lambda: proxies.shown()[0].why == "")
    with _connect(want.port) as line:
        assert _echo(line)


def test_a_proxy_that_dies_as_soon_as_it_stands_is_stood_again(
    make, serving, free_port, stage_until, monkeypatch
):
    killed, begin = [], Proxies._begin

    def begin_and_die(*words):
        process = begin(*words)
        if not killed:
            killed.append(process.pid)
            process.kill()
            process.wait()
        return process

    monkeypatch.setattr(Proxies, "_begin", begin_and_die)
    want = ProxyWant(free_port(), serving().address)
    proxies, _ = make(live=["c-1"])
    proxies.stand("c-1", [want])
    stage_until(lambda: killed and proxies.shown()[0].why == "")
    with _connect(want.port) as line:
        assert _echo(line)


def test_another_workers_proxies_are_left_alone(make, serving, free_port, stage_until, tmp_path):
    want = ProxyWant(free_port(), serving().address)
    first, _ = make(live=["c-1"], worker="w1")
    first.stand("c-1", [want])
    stage_until(lambda: first.shown()[0].why == "")
    second, _ = make(live=[], worker="w2")
    assert second.shown() == ()
    second.close()
    assert is_standing(folder_of(tmp_path, want.port))


def test_a_worker_that_leaves_while_its_campaign_lives_leaves_the_proxy_to_its_next_life(
    make, serving, free_port, stage_until, tmp_path
):
    want = ProxyWant(free_port(), serving().address)
    first, _ = make(live=["c-1"])
    first.stand("c-1", [want])
    stage_until(lambda: first.shown()[0].why == "")
    first.close()
    assert is_standing(folder_of(tmp_path, want.port))
    second, _ = make(live=["c-1"])
    assert [one.campaign for one in second.shown()] == ["c-1"]


def test_a_fault_on_a_standing_proxy_may_ask_it_to_remember(make, serving, free_port, stage_until, tmp_path):
    want = parse_proxy(f"{free_port()}={serving().address}")
    proxies, _ = make(own=[want], live=["c-1"])
    proxies.stand("c-1", [ProxyWant(want.port, want.upstream, speaks="redis")])
    stage_until(lambda: ask(folder_of(tmp_path, want.port), Look()).speaks == "redis")
    assert [(one.campaign, one.speaks) for one in proxies.shown()] == [("", "redis")]


@pytest.mark.parametrize("fate", ["away", "unknown"])
def test_a_proxy_stands_on_while_nobody_says_that_its_campaign_is_over(
    serving, free_port, stage_until, tmp_path, fate
):
    asked = []
    proxies = Proxies(
        tmp_path, worker="w1", allow_targets=(), fate=lambda campaign: asked.append(campaign) or fate
    )
    proxies.start()
    want = ProxyWant(free_port(), serving().address)
    proxies.stand("c-1", [want])
    stage_until(lambda: len(asked) > 2 and proxies.shown()[0].why == "")
    with _connect(want.port) as line:
        assert _echo(line)
    fate = "over"  # what the look at its end is told
    proxies.close()
    assert not is_standing(folder_of(tmp_path, want.port))


def test_a_proxy_whose_worker_was_killed_as_it_came_up_is_not_left_to_nobody(
    make, serving, free_port, tmp_path, stage_until
):
    dies = "begin = Proxies._begin; Proxies._begin = lambda *words: (begin(*words), signal.raise_signal(9))"
    code = WORKER.replace("proxies = Proxies(", f"{dies}\nproxies = Proxies(")
    port = free_port()
    command = [sys.executable, "-c", code, str(tmp_path), f"{port}={serving().address}"]
    assert subprocess.run(command, timeout=60, check=False).returncode == -signal.SIGKILL
    assert _listeners(port)
    make()  # for which that campaign is over
    stage_until(lambda: not _listeners(port))
