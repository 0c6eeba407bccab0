import json
import signal
import subprocess
import sys
import time
from pathlib import Path

COMMAND = [sys.executable, "-m", "workers.demo_target"]
WITHIN_S = 60.0
BODY = json.dumps({"messages": [{"role": "user", "content": "a"}], "stream": True}).encode()
CHAT = (
    b"POST /v1/chat/completions HTTP/1.1\r\nx-shakeout-id: s/1/1\r\ncontent-length: %d\r\n\r\n" % len(BODY)
) + BODY


def test_it_stops_at_once_when_nothing_runs(start):
    target = start()
    with target.socket():
        began_s = time.monotonic()
        assert target.stop() == 0
        assert time.monotonic() - began_s < 3 * 1.0


def test_what_is_being_answered_is_finished_first(start):
    target = start("--ttft", "300ms", "--tokens", "1")
    with target.socket() as sock:
        sock.sendall(CHAT)
        target.wait_for_line("received")
        assert target.stop() == 0
        text = b""
        while data := sock.recv(65536):
            text += data
    assert text.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert target.lines()[-1]["event"] == "answered"


def test_what_takes_longer_than_a_second_is_cut_and_logged_so(start):
    target = start("--ttft", "1h")
    with target.socket() as sock:
        sock.sendall(CHAT)
        target.wait_for_line("received")
        began_s = time.monotonic()
        assert target.stop() == 0
        assert time.monotonic() - began_s < 3 * 1.0
    assert target.lines()[-1]["event"] == "cut"


def test_a_killed_target_leaves_the_receipts_of_what_it_worked_on(start):
    target = start("--ttft", "1h")
    with target.socket() as sock:
        sock.sendall(CHAT)
        assert sock.recv(4096)
        target.process.send_signal(signal.SIGKILL)
        target.process.wait(WITHIN_S)
    assert [(line["event"], line["id"]) for line in target.lines()] == [("received", "s/1/1")]


def test_tokens_missed_while_stopped_come_at_once_and_the_rest_on_time(start):
    target = start("--ttft", "10ms", "--gap", "10ms", "--tokens", "300")
    with target.socket() as sock:
        sock.sendall(CHAT)
        assert sock.recv(65536)
        target.process.send_signal(signal.SIGSTOP)
        stopped_s = time.monotonic()
        time.sleep(2.5)  # the length of the pause is what is tested
        paused_s = time.monotonic() - stopped_s
        target.process.send_signal(signal.SIGCONT)
        while not sock.recv(65536).endswith(b"0\r\n\r\n"):
            pass
    (line,) = target.wait_for_line("answered")
    assert line["tokens"] == 300
    took_s = (line["answered_ns"] - line["received_ns"]) / 1e9
    assert 2.99 < took_s < 2.99 + paused_s  # so long if the pause came on top


def test_a_port_in_use_is_told_with_what_to_do(start):
    port = str(start().port)
    ended = subprocess.run(
        [*COMMAND, "--port", port], capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert ended.returncode == 1
    assert f"127.0.0.1:{port}" in ended.stderr
    assert "--port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_log_that_cannot_be_opened_is_told_with_its_path(tmp_path):
    path = tmp_path / "missing" / "log.jsonl"
    ended = subprocess.run(
        [*COMMAND, "--log", path], capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert ended.returncode == 1
    assert str(path) in ended.stderr


def test_a_log_that_cannot_be_written_stops_the_target(tmp_path):
    command = [*COMMAND, "--log", "/dev/full"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline().rsplit(":", 1)[1])
        curl = "import socket,sys; s=socket.create_connection(('127.0.0.1', int(sys.argv[1])), 30); "
        curl += "s.sendall(sys.argv[2].encode()); s.settimeout(30); s.recv(1)"
        subprocess.run([sys.executable, "-c", curl, str(port), CHAT.decode()], timeout=WITHIN_S, check=False)
        assert process.wait(WITHIN_S) == 1
        assert "/dev/full" in process.stderr.read()


def test_it_is_ready_in_under_a_second_and_imports_nothing_heavy():
    code = "import sys, workers.demo_target.server, workers.demo_target.settings; print(*sys.modules)"
    began_s = time.monotonic()
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=WITHIN_S, check=True
    )
    assert time.monotonic() - began_s < 3 * 1.0
    roots = {name.partition(".")[0] for name in loaded.stdout.split()}
    assert not roots & {"pydantic", "numpy", "pandas", "redis", "celery", "gevent", "locust", "pyarrow"}


def test_descriptors_do_not_grow_with_connections(start):
    target = start("--ttft", "1ms", "--gap", "1ms", "--tokens", "2")

    def descriptors() -> int:
        return len(list(Path(f"/proc/{target.process.pid}/fd").iterdir()))

    before = descriptors()
    for _ in range(30):
        with target.socket() as sock:
            sock.sendall(CHAT)
            sock.recv(100)
    deadline = time.monotonic() + WITHIN_S
    while descriptors() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert descriptors() <= before
