"""deploy/Dockerfile without an engine: its steps done on this machine, and a fleet of what they made.

This machine's Debian and Python stand for the base image, under an overlay that keeps all changes to itself.
What runs afterwards sees a root file system that is read-only, as a user without rights, in namespaces of its
own for mounts and pids; the network is this machine's.
"""

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
BUILT_WITHIN_S = 900
USER = 10001
AS_USER = f"--reuid {USER} --regid {USER} --clear-groups --no-new-privs"
NO_RIGHTS = f"{AS_USER} --inh-caps=-all --bounding-set=-all"
CAMPAIGN = """\
campaign: contained
seed: 3
validity: {{lag_p99: 10s, start_skew: 10s}}
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: 5s}}
phases:
  - name: only
    activities:
      - name: steady
        kind: load
        target: chat
        shards: 2
        arrivals: {{process: poisson, rate: 20/s}}
        duration: 3s
        data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}
"""

pytestmark = [pytest.mark.root, pytest.mark.timeout(BUILT_WITHIN_S + 300)]


@dataclass
class Image:
    """`layer`: what the steps added to this root. `environment`: of ENV. `holder`: keeps it mounted."""

    folder: Path
    holder: "subprocess.Popen[bytes]"
    environment: dict[str, str] = field(default_factory=dict)
    path: str = ""

    @property
    def layer(self) -> Path:
        return Path(f"/proc/{self.holder.pid}/root{self.folder}/memory/layer")

    def command(
        self,
        words: list[str],
        *,
        volumes: Mapping[str, Path] = {},
        rights: str = NO_RIGHTS,
        host_pids: bool = False,
    ) -> list[str]:
        """What starts a container of it, with these folders as volumes; `rights` as setpriv takes them."""
        inside = self.folder / "root"
        steps = [
            *_into(inside),
            f"mount -t tmpfs -o mode=1777 tmpfs {inside}/tmp",
            *(f"mount --bind {folder} {inside}{place}" for place, folder in volumes.items()),
        ]
        line = shlex.join(words)
        run = f"exec chroot {inside} setpriv {rights} -- env --chdir={workdir()} PATH={self.path} {line}"
        entered = ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt"]
        isolated = ["unshare", "--mount", *([] if host_pids else ["--pid"]), "--fork", "--kill-child"]
        return [*entered, *isolated, "sh", "-c", "\n".join(["set -e", *steps, run])]

    def volume(self, name: str, *, place: str) -> Path:
        """A new volume: as engines do, its owner and mode are those that the image has there."""
        folder = self.folder / "volumes" / name
        folder.mkdir(parents=True)
        here = (self.layer / place.lstrip("/")).stat()
        os.chown(folder, here.st_uid, here.st_gid)
        folder.chmod(stat.S_IMODE(here.st_mode))
        return folder


def _into(root: Path) -> list[str]:
    return [f"mount -t proc proc {root}/proc", f"mount --bind /dev {root}/dev"]


def instructions() -> Iterator[tuple[str, str]]:
    """The Dockerfile, one instruction at a time: its word, and the rest."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        if line:
            word, _, rest = line.partition(" ")
            yield word, rest.strip()


def last(word: str) -> str:
    return [rest for found, rest in instructions() if found == word][-1]


def entrypoint() -> list[str]:
    return list(json.loads(last("ENTRYPOINT")))


def workdir() -> str:
    return last("WORKDIR")


def script() -> Iterator[str]:
    """The steps as a shell's."""
    yield "set -e"
    for word, rest in instructions():
        if word == "FROM":
            yield "cd /"
        elif word == "WORKDIR":
            yield f"mkdir -p {rest} && cd {rest}"
        elif word == "ENV":
            yield f"export {rest}"
        elif word == "COPY" and rest.startswith("--from"):
            yield f"test -e {rest.split()[1]}"
        elif word == "COPY":
            *sources, place = rest.split()
            yield f"mkdir -p $(dirname {place})"
            yield from (f"cp -r /context/{source} {place}" for source in sources)
        elif word == "RUN":
            yield f"( {re.sub(r'--mount=[^ ]+ ', '', rest)} )"
        else:
            assert word in {"ARG", "USER", "STOPSIGNAL", "ENTRYPOINT", "CMD"}, word


def context(folder: Path) -> None:
    """What .dockerignore leaves of the repository."""
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        source = ROOT / line[1:]
        if line.startswith("!") and source.is_dir():
            shutil.copytree(source, folder / line[1:], ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        elif line.startswith("!"):
            folder.mkdir(exist_ok=True)
            shutil.copy(source, folder / line[1:])


def building(folder: Path) -> str:
    """A shell's steps that make the image under `folder`, and hold it read-only while tests last."""
    inside, memory = folder / "root", folder / "memory"
    layers = f"lowerdir=/,upperdir={memory}/layer,workdir={memory}/scratch"
    # the base image's part: a `python` that every user reaches
    python = Path(os.path.realpath(sys._base_executable))  # type: ignore[attr-defined]
    return "\n".join(
        [
            "set -e",
            f"mount -t tmpfs tmpfs {memory} && mkdir {memory}/layer {memory}/scratch",
            f"mount -t overlay overlay -o {layers} {inside}",
            f"echo mounted > {folder}/state",
            *_into(inside),
            f"ln -sf {python.name} {inside}{python.parent}/python",
            *(f"chmod o+x {inside}{parent}" for parent in python.parents),
            f"mkdir {inside}/context && mount --bind {folder}/context {inside}/context",
            f"export PATH={python.parent}:$PATH",
            f"chroot {inside} sh -c {shlex.quote(chr(10).join(script()))}",
            f"umount {inside}/context {inside}/proc {inside}/dev",
            f"mount -o remount,ro {inside}",
            f"echo built > {folder}/state",
            f"exec sleep {BUILT_WITHIN_S}",
        ]
    )


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, until: Callable[..., Any]) -> Iterator[Image]:
    """The image, built once."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "setpriv", "chroot"))):
        pytest.skip("needs root, unshare, nsenter, setpriv and chroot")
    folder = tmp_path_factory.mktemp("image")
    for name in ("memory", "root"):
        (folder / name).mkdir()
    context(folder / "context")
    log, state = folder / "log", folder / "state"
    state.write_text("")
    with log.open("wb") as out:
        holder = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", building(folder)], stdout=out, stderr=out
        )
    until(lambda: state.read_text() == "built\n" or holder.poll() is not None, within_s=BUILT_WITHIN_S)
    if not state.read_text():
        pytest.skip(f"needs overlay file systems: {log.read_text()}")
    assert state.read_text() == "built\n", log.read_text()[-3000:]
    built = Image(folder, holder)
    for one in shlex.split(last("ENV")):
        name, _, value = one.partition("=")
        built.environment[name] = value.replace("$PATH", "/usr/local/bin:/usr/bin:/bin")
    built.path = built.environment.pop("PATH")
    built.environment |= {"HOME": workdir(), "PATH": os.environ["PATH"]}
    yield built
    holder.kill()
    holder.wait()


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """compose.yaml as it is without compose.env."""
    text = re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", (DEPLOY / "compose.yaml").read_text())
    return dict(yaml.safe_load(text)["services"])


def run(image: Image, *words: str, volumes: Mapping[str, Path] = {}) -> "subprocess.CompletedProcess[str]":
    command = image.command([*entrypoint(), *words], volumes=volumes)
    return subprocess.run(
        command, env=image.environment, check=False, capture_output=True, text=True, timeout=120
    )


def test_the_image_s_program_starts_without_rights_and_writes_nothing(image) -> None:
    done = run(image, "--help")
    assert done.returncode == 0, done.stderr
    assert "submit" in done.stdout
    checked = run(image, "validate", "/mnt/quickstart.yaml", volumes={"/mnt": ROOT / "examples"})
    assert checked.returncode == 0, checked.stderr


def test_what_is_installed_is_compiled(image) -> None:
    (site,) = (image.layer / "opt" / "shakeout" / "lib").glob("python3.*/site-packages")
    for package in ("orchestrator", "workers", "celery", "locust"):
        sources = [path for path in (site / package).rglob("*.py") if "test" not in path.parts]
        compiled = {path.name.partition(".")[0] for path in (site / package).rglob("__pycache__/*.pyc")}
        assert {path.stem for path in sources} <= compiled, package


def test_the_user_owns_its_folders_and_nothing_else(image) -> None:
    owned, open_to_all = [], []
    for place in ("opt", "etc", "usr", "var"):
        for path in (image.layer / place).rglob("*"):
            found = path.lstat()
            if found.st_uid == USER:
                owned.append("/" + str(path.relative_to(image.layer)))
            if (
                found.st_mode & stat.S_IWOTH
                and not stat.S_ISLNK(found.st_mode)
                and not stat.S_ISCHR(found.st_mode)
            ):
                open_to_all.append(str(path))
    home = workdir()
    assert sorted(owned) == [home, f"{home}/home", f"{home}/runs"]
    assert open_to_all == []


def test_a_fleet_of_containers_runs_a_campaign_and_drains(
    image: Image, services: dict[str, Any], new_server: Callable[[str], Any], tmp_path: Path
) -> None:
    server = new_server("valkey")
    target = server.start("worker", "workers.demo_target", "--ttft", "5ms", "--gap", "1ms")
    target.says("listening on ")
    runs = image.volume("runs", place="/var/lib/shakeout/runs")
    home = image.volume("home", place="/var/lib/shakeout/home")
    file = tmp_path / "contained.yaml"
    file.write_text(CAMPAIGN.format(url=target.said().split()[-1]))

    def contained(name: str, *, words: list[str] | None = None, volumes: Mapping[str, Path] = {}) -> Any:
        (named,) = services[name]["env_file"]
        role = Path(named).stem
        own = {key: text for key, text in server.environment(role).items() if key.startswith("SHAKEOUT_")}
        given = {**image.environment, **own}
        command = image.command([*entrypoint(), *(words or services[name]["command"])], volumes=volumes)
        return server.spawn(command, given, wrapped=True)

    first = contained("coordinator-1", volumes={"/var/lib/shakeout/runs": runs})
    second = contained("coordinator-2", volumes={"/var/lib/shakeout/runs": runs})
    worker = contained("worker", volumes={"/var/lib/shakeout/home": home})
    flower_command = [word if word != "5555" else "0" for word in services["flower"]["command"]]
    flower = contained("flower", words=flower_command)
    worker.says("ready")
    flower.says("flower: at ")
    (tmp_path / "campaigns").mkdir()
    file.rename(tmp_path / "campaigns" / file.name)
    submitted = contained(
        "cli",
        words=["submit", "/mnt/contained.yaml", "--wait"],
        volumes={"/mnt": tmp_path / "campaigns"},
    )
    assert submitted.popen.wait(120) == 0, submitted.said()
    (report,) = runs.glob("contained-*/report.json")
    assert json.loads(report.read_text())["verdict"] == "pass"
    assert report.stat().st_uid == USER
    assert {"leading", "standing by"} == {
        word for one in (first, second) for word in ("leading", "standing by") if word in one.said()
    }
    for one in (worker, flower, first, second):
        assert one.stop() == 0, one.said()
    assert "Traceback" not in "".join(one.said() for one in (worker, flower, first, second))
    assert server.denied() == []


MATCHING = """
import signal, sys
from workers.chaos.contract import Match
from workers.chaos.match import find
from workers.chaos.processes import send
from workers.contract.errors import FaultError
try:
    (found,) = find(Match(**{sys.argv[1]: int(sys.argv[2]) if sys.argv[1] == "port" else sys.argv[2]}))
    print("found", found.pid)
    print("signalled", send(found, signal.SIGSTOP) and send(found, signal.SIGCONT))
except FaultError as error:
    print(error)
"""
VICTIM = r"^python -c [\s\S]*somebody-else$"
SERVING = """
import signal, socket
listening = socket.create_server(("127.0.0.1", 0))
print("port", listening.getsockname()[1], flush=True)
signal.pause()
"""


def capabilities(names: list[str], *, ambient: bool) -> str:
    """As setpriv takes them; ambient ones are what a process that is not root keeps."""
    added = "".join(f",+{name.lower().removeprefix('cap_')}" for name in names)
    kept = f"--inh-caps=-all{added} --ambient-caps=-all{added}" if ambient else "--inh-caps=-all"
    return f"{kept} --bounding-set=-all{added}"


@pytest.fixture
def somebody_else_s(image: Image, tmp_path: Path, until: Callable[..., Any]) -> Iterator[tuple[int, int]]:
    """A process of another user that listens: its pid and port."""
    rights = f"--reuid 12345 --regid {USER} --clear-groups --inh-caps=-all --bounding-set=-all"
    command = image.command(["python", "-c", SERVING, "somebody-else"], rights=rights, host_pids=True)
    log = tmp_path / "serving"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=image.environment, stdout=out, stderr=out)
    until(lambda: log.read_text().startswith("port ") or process.poll() is not None)
    assert process.poll() is None, log.read_text()
    (child,) = psutil.Process(process.pid).children()
    yield child.pid, int(log.read_text().split()[1])
    child.kill()
    process.wait(10)


def matched(image: Image, rights: str, *words: str) -> str:
    command = image.command(["python", "-c", MATCHING, *words], rights=rights, host_pids=True)
    done = subprocess.run(
        command, env=image.environment, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_chaos_a_worker_can_not_touch_another_user_s_process(image, somebody_else_s) -> None:
    pid, port = somebody_else_s
    assert f"somebody listens on port {port}, but not as this user" in matched(
        image, NO_RIGHTS, "port", str(port)
    )
    said = matched(image, NO_RIGHTS, "cmdline", VICTIM)
    assert f"found {pid}\n" in said
    assert "not permitted to signal" in said


def test_chaos_conf_lets_a_unit_find_by_port_and_signal(image, somebody_else_s) -> None:
    pid, port = somebody_else_s
    text = (DEPLOY / "systemd" / "chaos.conf").read_text()
    (names,) = re.findall(r"^AmbientCapabilities=(.*)$", text, re.MULTILINE)
    assert f"\nCapabilityBoundingSet={names}\n" in text
    rights = f"{AS_USER} {capabilities(names.split(), ambient=True)}"
    assert matched(image, rights, "port", str(port)) == f"found {pid}\nsignalled True\n"


def test_compose_chaos_yaml_lets_a_container_find_by_cmdline_and_signal(image, somebody_else_s) -> None:
    worker = yaml.safe_load((DEPLOY / "compose.chaos.yaml").read_text())["services"]["worker"]
    assert (worker["user"], worker["pid"]) == ("0:0", "host")
    rights = f"--no-new-privs {capabilities(worker['cap_add'], ambient=False)}"
    said = matched(image, rights, "cmdline", VICTIM)
    assert said == f"found {somebody_else_s[0]}\nsignalled True\n"
