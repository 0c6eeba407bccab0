"""The page of tasks in a real browser, over a real fleet, from the first shard to the report."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from workers.contract.broker import names

ROOT = Path(__file__).parents[3]
WITHIN_S = 60.0
ENDS_WITHIN_S = 60.0
PICTURE = "SHAKEOUT_FLOWER_PICTURE"
"""Where the test puts the picture of docs/flower.md, if somebody asks for it."""
CAMPAIGN = """\
campaign: checkout
seed: 7
on_lost_coordinator: 30s
validity: {{lag_p99: 2s, start_skew: 10s}}
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: 20s}}
phases:
  - name: smoke
    activities:
      - name: golden
        kind: regression
        target: chat
        golden: chat.jsonl
        concurrency: 4
        slos: ["pass_rate >= 50%"]
  - name: peak
    activities:
      - name: peak-load
        kind: load
        target: chat
        shards: 3
        arrivals: {{process: constant, rate: 90/s}}
        duration: 16s
        data: {{synthetic: {{input_tokens: 8, output_tokens: 4}}}}
        slos: ["success_rate >= 50%"]
      - name: server-hang
        kind: chaos
        target: chat
        where: {{label: model-server}}
        match: {{port: {port}}}
        fault: pause-process
        at: 7s
        for: 5s
"""


@pytest.fixture(scope="module")
def fleet(parts, until) -> str:
    """Coordinator, three workers and a target; the target's address."""
    _, said = parts.spawn(
        "workers.demo_target", "--ttft", "20ms", "--gap", "2ms", "--tokens", "24", "--seed", "7"
    )
    parts.spawn("orchestrator", "coordinator", "--runs", str(parts.folder / "runs"))
    for number in (1, 2, 3):
        here = ["--label", "model-server"] if number == 1 else []
        home = {"SHAKEOUT_HOME": str(parts.folder / f"home-{number}")}
        parts.spawn("workers", "--name", f"node-{number}", "--slots", "1", *here, **home)
    with parts.server.client() as client:
        until(lambda: client.hlen(names.WORKERS) == 3)
    return until(lambda: said.read_text().strip()).split()[-1]


@pytest.fixture
def submit(parts, fleet, until) -> Callable[[], tuple[str, "subprocess.Popen[bytes]"]]:
    """Submits the campaign and waits for it: its id, and the process that brings its results into `out`."""

    def go() -> tuple[str, "subprocess.Popen[bytes]"]:
        shutil.copy(ROOT / "examples" / "golden" / "chat.jsonl", parts.folder / "chat.jsonl")
        (parts.folder / "checkout.yaml").write_text(CAMPAIGN.format(url=fleet, port=fleet.rpartition(":")[2]))
        out = str(parts.folder / "out")
        process, log = parts.spawn("orchestrator", "submit", "checkout.yaml", "--wait", "--out", out)
        found = until(lambda: re.search(r"^checkout-\S+$", log.read_text(), re.MULTILINE))
        return found[0], process

    return go


def of_load(rows: list[list[str]]) -> list[list[str]]:
    return sorted(row for row in rows if " / peak-load / " in row[0])


@pytest.mark.chromium
def test_the_page_shows_each_shard_with_its_progress_until_the_end_and_the_report_links_to_it(
    parts, login, submit, browser, until
):
    process, _, url = parts.flower("--address", "127.0.0.1")
    host = url.removeprefix("http://")
    id_, waits = submit()
    user, _, password = login.partition(":")
    browser.open(f"http://{user}:{quote(password, safe='')}@{host}/tasks")

    seen: set[str] = set()

    def look() -> list[list[str]]:
        rows = browser.rows()
        seen.update(row[2] for row in rows if " / server-hang / " in row[0])
        return rows

    def all_run() -> list[list[str]]:
        rows = of_load(look())
        shown = [(row[1], "p99" in row[2] and int(row[2].split("%")[0]) >= 20) for row in rows]
        return rows if shown == [("PROGRESS", True)] * 3 else []

    rows = until(all_run)
    assert [row[0] for row in rows] == [f"{id_} / peak-load / shard {n} of 3" for n in (1, 2, 3)]
    assert all(re.fullmatch(r"\d+% · \d+ req/s · p99 [\d,]+ ms", row[2]) for row in rows), rows
    assert {row[3] for row in rows} == {f"shakeout@node-{n}" for n in (1, 2, 3)}
    (parts.folder / "page.png").write_bytes(browser.picture())
    if asked := os.environ.get(PICTURE):
        Path(asked).write_bytes(browser.picture())
    first = int(rows[0][2].split("%")[0])
    until(lambda: int(of_load(look())[0][2].split("%")[0]) > first)  # nobody reloads the page

    def all_over() -> list[list[str]]:
        rows = look()
        return rows if len(rows) == 7 and all(row[1] == "SUCCESS" for row in rows) else []

    rows = until(all_over)
    results = {row[0].removeprefix(f"{id_} / "): row[2] for row in rows}
    for n in (1, 2, 3):
        assert re.fullmatch(r"100% · 480 sent · p99 [\d,]+ ms", results[f"peak-load / shard {n} of 3"])
        assert re.fullmatch(r"100% · 8 cases · p99 [\d,]+ ms", results[f"golden / shard {n} of 3"])
    assert results["server-hang / shard 1 of 1"] == "reverted"
    assert any(re.fullmatch(r"injected, \d s left", words) for words in seen), seen

    browser.read("document.querySelector('#tasks-table a[href*=\"peak-load%3A1%3A1\"]').click()")
    text = until(lambda: "shard 2 of 3" in (page := browser.text()) and page)
    assert f"{id_}/peak-load:1:1" in text
    assert "Terminate" not in text

    assert waits.wait(WITHIN_S) == 0
    report = json.loads((parts.folder / "out" / "report.json").read_text())
    assert (report["campaign"]["id"], report["verdict"], report["flower"]) == (id_, "pass", url)
    counts = report["activities"]["peak-load"]["requests"]
    assert counts["scheduled"] == counts["sent"] == counts["ok"] == 1440
    assert {one["worker"] for one in report["fleet"]} == {"node-1", "node-2", "node-3"}
    assert f'href="{url}' in (parts.folder / "out" / "report.html").read_text()
    process.terminate()
    assert process.wait(ENDS_WITHIN_S) == 0
