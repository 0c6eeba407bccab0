"""Flower as a process: its login, its address, Redis that comes and goes, and what it is told wrong."""

import json
import re
import runpy
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery.events.state import Task

from workers.app import build, progress_sender
from workers.contract.broker import names

ROOT = Path(__file__).parents[3]
WITHIN_S = 60.0
ENDS_WITHIN_S = 60.0


def test_without_the_login_nothing_is_told_and_no_command_line_holds_a_password(parts, login, ask):
    process, log, url = parts.flower(FLOWER_UNAUTHENTICATED_API="1")
    password = login.partition(":")[2]
    for path in ("/", "/tasks", "/workers", "/broker", "/api/tasks", "/api/workers", "/tasks/datatable"):
        assert ask(url + path)[0] == 401, path
        for wrong in ("shakeout:no", f"other:{password}", "shakeout:p", "a:s s%w/ord"):
            assert ask(url + path, login=wrong)[0] == 401, (path, wrong)
    assert ask(f"{url}/metrics")[0] == 404
    assert ask(f"{url}/tasks", login=login)[0] == 200
    sent = ask(f"{url}/api/task/send-task/shakeout.load", login=login, data=b"{}")
    assert sent[0] == 403, sent
    command = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
    broker_password = parts.server.url.split(":")[2].split("@")[0]
    assert "flower" in command
    assert password not in command
    assert broker_password not in command
    assert password not in log.read_text()
    assert broker_password not in log.read_text()
    process.kill()


def test_a_password_is_made_where_none_is_set_and_said_once(parts, ask):
    process, log, url = parts.flower("--user", "ops", SHAKEOUT_FLOWER_PASSWORD="")
    made = re.findall(r"user ops, password (\S+)", log.read_text())
    assert len(made) == 1
    assert ask(f"{url}/tasks", login=f"ops:{made[0]}")[0] == 200
    process.kill()


def test_flowers_own_variables_may_say_another_login_and_other_settings(parts, login, ask):
    process, log, url = parts.flower(
        FLOWER_BASIC_AUTH="ann:one,bob:two", FLOWER_URL_PREFIX="fleet", FLOWER_TASKS_COLUMNS="name,state",
        SHAKEOUT_FLOWER_PASSWORD="",
    )  # fmt: skip
    assert url.endswith("/fleet")
    assert "password" not in log.read_text()
    code, page = ask(f"{url}/tasks", login="bob:two")
    assert code == 200
    assert re.findall(r'data-column="(\w+)"', page) == ["name", "state"]
    assert ask(f"{url}/tasks", login=login)[0] == 401
    process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_its_address_stands_in_redis_while_it_runs(parts, number, until):
    process, _, _ = parts.flower("--url", "https://shakeout.example/flower/")
    with parts.server.client() as client:
        until(lambda: client.get(names.FLOWER) == b"https://shakeout.example/flower")
        assert 0 < client.ttl(names.FLOWER) <= 30
        process.send_signal(number)
        assert process.wait(ENDS_WITHIN_S) == 0
        assert client.get(names.FLOWER) is None


def test_it_starts_before_redis_goes_on_without_it_and_shows_what_comes_afterwards(
    other_parts, login, ask, until
):
    parts = other_parts
    parts.server.stop()
    process, log, url = parts.flower()
    until(lambda: "trying again" in log.read_text())
    assert "nothing listens there" in log.read_text()
    assert ask(f"{url}/tasks", login=login)[0] == 200
    for life in ("first", "second"):
        parts.server.replace()
        with build(parts.server.url) as app:
            send = progress_sender(app, "node-1")

            def shown(life: str = life, send: Callable[[str, str], None] = send) -> bool:
                send(f"{life}/task", "30%")
                _, body = ask(f"{url}/api/tasks", login=login)
                return json.loads(body).get(f"{life}/task", {}).get("state") == "PROGRESS"

            until(shown)
    parts.server.stop()
    process.terminate()
    assert process.wait(ENDS_WITHIN_S) == 0


def test_a_login_to_redis_that_may_too_little_is_told_with_what_it_lacks(parts, until):
    with parts.server.client() as client:
        client.execute_command(
            "ACL", "SETUSER", "narrow", "on", ">pass", "~*", "&*", "+@all", "-psubscribe", "-subscribe"
        )
    place = parts.server.url.rpartition("@")[2]
    process, log, _ = parts.flower(SHAKEOUT_BROKER=f"redis://narrow:pass@{place}")
    until(lambda: "no events can be heard" in log.read_text())
    assert "subscribe" in log.read_text().split("no events can be heard")[1]
    with parts.server.client() as client:
        until(lambda: sum(int(denied["count"]) for denied in client.acl_log()) >= 3)  # it goes on trying
    assert log.read_text().count("no events can be heard") == 1
    assert "Traceback" not in log.read_text()
    process.kill()


def test_an_event_that_anybody_sent_is_shown_as_text_and_ends_nothing(parts, login, ask, until):
    process, log, url = parts.flower()
    evil = "<script>alert('e vil')</script>"
    app = build(parts.server.url)
    with parts.server.client() as client:
        for body in (b"", b"{", b"[" * 100_000, json.dumps({"body": "x", "headers": 1}).encode()):
            client.publish("/0.shakeout.events/task.received", body)

    def told() -> bool:
        with app.connection() as connection, app.events.Dispatcher(connection, hostname=evil) as events:
            events.send("worker-online", sw_ver=evil)
            events.send("task-received", uuid="odd", name=evil, args=evil, kwargs=evil)
            events.send("task-progress", uuid="odd", result=evil)
            events.send("task-started", uuid=["not", "a", "text"], timestamp="never")
        return ask(f"{url}/task/odd", login=login)[0] == 200

    until(told)
    pages = [ask(url + path, login=login) for path in ("/task/odd", "/tasks", "/workers")]
    assert [status for status, _ in pages] == [200, 200, 200]
    assert not [page for _, page in pages if "<script>alert(" in page]
    assert "&lt;script&gt;alert(" in pages[0][1]
    assert process.poll() is None, log.read_text()
    process.kill()


@pytest.fixture
def shown() -> Callable[[Any], Any]:
    """How the shipped settings show a task."""
    return runpy.run_path(str(ROOT / "deploy" / "flower" / "flowerconfig.py"))["format_task"]


def test_a_shard_whose_worker_went_without_a_word_does_not_look_as_if_it_ran(shown):
    task = Task("id", state="PROGRESS", result="30% · 812 req/s", timestamp=time.time() - 45)
    assert shown(task).state == "SILENT"
    said = re.fullmatch(r"30% · 812 req/s · nothing heard for (\d+) s", task.result)
    assert said is not None, task.result
    assert 45 <= int(said[1]) <= time.time() - task.timestamp + 1
    fresh = Task("id", state="PROGRESS", result="30%", timestamp=time.time())
    assert (shown(fresh).state, fresh.result) == ("PROGRESS", "30%")
    old = Task("id", state="SUCCESS", result="'100%'", timestamp=0.0)
    assert (shown(old).state, old.result) == ("SUCCESS", "100%")


def test_a_shard_that_failed_says_why_and_no_wire_format(shown):
    why = "refused: the target is not on the allow-list"
    task = Task("id", state="FAILURE", exception=why, timestamp=0.0, args="[{...}]", kwargs="{}")
    assert (shown(task).result, task.args, task.kwargs) == (why, "", "")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--url", "shakeout.example"), "write http://HOST or https://HOST"),
        (("--user", "a:b"), "but a colon"),
        (("--address", "192.0.2.1"), "say another --address or --port"),
        (("--port", "TAKEN"), "say another --address or --port"),
        (("FLOWER_MAX_TASKS=many",), "a variable FLOWER_* of the environment cannot be read: "),
        (("FLOWER_KEYFILE=key.pem",), "Both 'certfile' and 'keyfile' are required"),
    ],
)
def test_what_cannot_work_ends_with_what_to_do(parts, flags, words):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = [flag.replace("TAKEN", str(taken.getsockname()[1])) for flag in flags if "=" not in flag]
        environment = dict(flag.split("=") for flag in flags if "=" in flag)
        process, log = parts.spawn("orchestrator", "flower", "--port", "0", *told, **environment)
        assert process.wait(WITHIN_S) == 2, log.read_text()
    assert words in log.read_text()
    assert "Traceback" not in log.read_text()
