"""deploy/compose.yaml: as Compose itself reads it, and what each container may do."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
SECRETS = ("SHAKEOUT_SIGNING_KEY", "SHAKEOUT_SUBMITTER_KEYS", "SHAKEOUT_FLOWER_PASSWORD", "SHAKEOUT_BROKER")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, secrets: Path) -> Path:
    """deploy/ with secrets beside it, as after the first steps of deploy/README.md."""
    folder = tmp_path_factory.mktemp("checkout") / "deploy"
    shutil.copytree(DEPLOY, folder, ignore=shutil.ignore_patterns("secrets", "compose.env"))
    shutil.copytree(secrets, folder / "secrets")
    shutil.copy(folder / "compose.env.example", folder / "compose.env")
    return folder


def config(folder: Path, *words: str) -> dict[str, Any]:
    """The files as Compose understands them, every setting filled in."""
    compose = shutil.which("docker-compose")
    if compose is None:
        pytest.skip("needs docker-compose")
    command = [compose, "--env-file", "deploy/compose.env", *words, "config"]
    done = subprocess.run(
        command, cwd=folder.parent, check=False, capture_output=True, text=True, timeout=60,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "not set" not in done.stderr  # a setting that compose.env.example forgets
    return dict(yaml.safe_load(done.stdout))


@pytest.fixture(scope="module")
def services(checkout: Path) -> dict[str, Any]:
    """All services, those of profiles included."""
    words = ("--file", "deploy/compose.yaml", "--profile", "gpu", "--profile", "cli")
    return dict(config(checkout, *words)["services"])


@pytest.fixture(scope="module")
def with_chaos(checkout: Path) -> dict[str, Any]:
    """The services where faults are allowed."""
    words = ("--file", "deploy/compose.yaml", "--file", "deploy/compose.chaos.yaml")
    return dict(config(checkout, *words)["services"])


def test_compose_reads_it_and_there_is_a_fleet(services) -> None:
    wanted = {"redis", "coordinator-1", "coordinator-2", "worker", "gpu-worker", "flower", "cli", "operator"}
    assert set(services) == wanted


def test_every_container_is_locked_down(services) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"] == ("valkey" if name == "redis" else "10001:10001"), name
        assert not {"privileged", "cap_add", "pid", "network_mode", "devices"} & set(service), name
        of_the_host = [mount for mount in service.get("volumes", []) if mount.startswith("/")]
        assert all(mount.endswith(":ro") for mount in of_the_host), name


def test_flower_on_loopback_is_the_only_way_in(services) -> None:
    assert {name: one["ports"] for name, one in services.items() if "ports" in one} == {
        "flower": ["127.0.0.1:5555:5555/tcp"]
    }


def test_redis_and_coordinators_reach_nothing_outside(checkout, services) -> None:
    assert config(checkout, "--file", "deploy/compose.yaml")["networks"]["fleet"]["internal"] is True
    for name in ("redis", "coordinator-1", "coordinator-2"):
        assert set(services[name]["networks"]) == {"fleet"}


def test_both_coordinators_write_to_the_same_runs(services) -> None:
    first, second = services["coordinator-1"], services["coordinator-2"]
    assert first == second
    assert first["volumes"] == [f"runs:{first['command'][-1]}:rw"]


def test_each_part_is_given_its_own_login_and_no_secret_stands_in_the_file(services) -> None:
    users = {
        "coordinator-1": "coordinator", "worker": "worker", "gpu-worker": "worker", "flower": "flower",
        "cli": "submitter", "operator": "operator",
    }  # fmt: skip
    for name, user in users.items():
        assert services[name]["environment"]["SHAKEOUT_BROKER"].startswith(f"redis://{user}:"), name
    for path in (*DEPLOY.glob("compose*"), DEPLOY / "Dockerfile"):
        assert not [word for word in SECRETS if word in path.read_text()], path


def test_no_secret_is_on_a_command_line(services, checkout) -> None:
    state = json.loads((checkout / "secrets" / "state.json").read_text())["secrets"]
    values = [value for kept in state.values() for value in kept]
    for service in services.values():
        words = " ".join(map(str, [*service["command"], *service.get("healthcheck", {}).get("test", [])]))
        assert not [value for value in values if value in words]


def test_what_dies_is_started_again_and_what_stops_is_given_time(services) -> None:
    for name, service in services.items():
        if service.get("profiles") == ["cli"]:
            continue
        assert service["restart"] == "unless-stopped", name
        assert service["stop_grace_period"] in {"15s", "30s", "60s", "1m0s", "120s", "2m0s"}, name
        if name != "redis":
            assert service["depends_on"] == {"redis": {"condition": "service_healthy"}}, name
    for name in ("worker", "gpu-worker"):  # a hand-over, answers under way, and what it has counted
        assert services[name]["stop_grace_period"] in {"120s", "2m0s"}


def test_the_gpu_worker_asks_for_every_gpu_and_the_driver_s_tools(services) -> None:
    (device,) = services["gpu-worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu", "utility"]}
    assert services["gpu-worker"]["environment"]["NVIDIA_DRIVER_CAPABILITIES"] == "utility"


def test_chaos_opens_the_worker_alone_and_only_as_far_as_faults_need(services, with_chaos) -> None:
    worker = with_chaos["worker"]
    assert (worker["pid"], worker["user"]) == ("host", "0:0")
    assert worker["cap_drop"] == ["ALL"]
    assert worker["cap_add"] == ["KILL"]
    assert worker["read_only"] is True
    for name in with_chaos.keys() - {"worker"}:
        assert plain(with_chaos[name]) == plain(services[name])


def test_webhooks_open_the_way_out_for_coordinators_alone(checkout, services) -> None:
    files = ("--file", "deploy/compose.yaml", "--file", "deploy/compose.announce.yaml")
    for name, service in config(checkout, *files)["services"].items():
        if name not in ("coordinator-1", "coordinator-2"):
            assert plain(service) == plain(services[name])
            continue
        assert set(service["networks"]) == {"fleet", "outside"}
        assert "SHAKEOUT_ANNOUNCE_TO" in service["environment"]
        kept = service.keys() - {"networks", "environment"}
        assert {key: service[key] for key in kept} == {key: services[name][key] for key in kept}


def plain(service: dict[str, Any]) -> dict[str, Any]:
    """Compose writes networks in two ways, and mounts in any order."""
    kept = {**service, "networks": sorted(service["networks"])}
    return {**kept, "volumes": sorted(service.get("volumes", []))}


def test_the_server_is_configured_as_doctor_wants_it() -> None:
    lines = (DEPLOY / "redis" / "redis.conf").read_text().splitlines()
    assert {"appendonly yes", "maxmemory-policy noeviction"} <= set(lines)
