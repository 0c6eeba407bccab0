"""Where secrets must not be: a target says back all that it is sent; what does a fleet then leave behind?"""

import http.server
import json
import os
import secrets
import subprocess
import sys
import threading

import psutil
import pytest

from workers.contract.broker import names

CAMPAIGN = """\
campaign: hush
seed: 3
validity: {{lag_p99: 10s, start_skew: 10s}}
targets:
  parrot:
    protocol: json-http
    url: "{url}/answer?api_key={query}"
    timeout: 1s
    headers:
      authorization: "Bearer ${{env:API_TOKEN}}"
      x-file: "${{file:api_token}}"
      x-literal: "{literal}"
phases:
  - name: only
    activities:
      - name: hush
        kind: load
        target: parrot
        shards: 2
        arrivals: {{process: poisson, rate: 40/s}}
        duration: 3s
        data: {{file: rows.jsonl}}
        slos: ["success_rate >= 99%"]
"""


class Parrot(http.server.BaseHTTPRequestHandler):
    """Fails every request, and says all of it back."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        words = f"{self.path}\n{self.headers}".encode()
        self.send_response(500, "no")
        self.send_header("content-length", str(len(words)))
        self.end_headers()
        self.wfile.write(words)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def parrot():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Parrot)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def processes() -> list[psutil.Process]:
    """All that this test run has started."""
    return psutil.Process().children(recursive=True)


@pytest.fixture(scope="module")
def hushed(new_fleet, parrot, tmp_path_factory, until):
    """A fleet that ran a campaign full of secrets; with what was seen of its processes meanwhile."""
    hidden = {
        name: f"{name}{secrets.token_hex(16)}" for name in ("ops", "ada", "env", "file", "literal", "query")
    }
    folder = tmp_path_factory.mktemp("credentials")
    (folder / "api_token").write_text(hidden["file"] + "\n")
    fleet = new_fleet(
        SHAKEOUT_SIGNING_KEY=f"ops={hidden['ops']}", SHAKEOUT_SUBMITTER_KEYS=f"ada={hidden['ada']}",
        API_TOKEN=hidden["env"], SHAKEOUT_SECRETS=str(folder),
    )  # fmt: skip
    hidden["broker"] = fleet.server.url.split("@")[0].rsplit(":", 1)[1]
    fleet.ensure(coordinators=1, workers=1)
    file = fleet.folder / "hush.yaml"
    file.write_text(CAMPAIGN.format(url=parrot, literal=hidden["literal"], query=hidden["query"]))
    (fleet.folder / "rows.jsonl").write_text('{"q": 1}\n')
    environment = {
        **os.environ,
        "SHAKEOUT_BROKER": fleet.server.url,
        "SHAKEOUT_SIGNING_KEY": f"ada={hidden['ada']}",
    }

    def shakeout(*argv: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", *argv],
            env=environment, capture_output=True, text=True, timeout=90, check=False, cwd=fleet.folder,
        )  # fmt: skip
        return done.stdout + done.stderr

    told = shakeout("submit", str(file))
    id_ = told.split()[0]
    assert id_.startswith("hush-"), told
    seen: dict[str, set[str]] = {"argv": set(), "engines": set()}

    def looked() -> bool:
        for one in processes():
            try:
                argv = " ".join(one.cmdline())
                seen["argv"].add(argv)
                if "workers.engine" in argv:
                    seen["engines"].add(str(one.environ()))
            except psutil.Error:
                continue
        return bool(fleet.store.is_finished(id_))

    until(looked, within_s=60)
    said = [
        shakeout(*argv) for argv in (("status", id_), ("list",), ("doctor",), ("report", id_), ("watch", id_))
    ]
    return fleet, id_, hidden, seen, "\n".join(said)


def found_in(text: bytes, hidden: dict[str, str], *, but: tuple[str, ...] = ()) -> list[str]:
    return [name for name, secret in hidden.items() if name not in but and secret.encode() in text]


def test_no_file_of_a_run_and_no_log_holds_a_secret(hushed) -> None:
    fleet, id_, hidden, _, _ = hushed
    files = [one for one in (fleet.folder / "runs").rglob("*") if one.is_file()]
    assert {"report.json", "journal.jsonl", "report.html", "campaign.yaml"} <= {one.name for one in files}
    report = (fleet.folder / "runs" / id_ / "report.json").read_text()
    assert "/answer?api_key=[masked]" in report, "an answer is shown, as far as it may be"
    assert json.loads(report)["activities"]["hush"]["requests"]["failed"] > 50
    logs = list(fleet.folder.glob("*.log"))
    assert len(logs) >= 3
    assert {one.name: found_in(one.read_bytes(), hidden) for one in (*files, *logs)} == {
        one.name: [] for one in (*files, *logs)
    }


def test_no_command_tells_a_secret(hushed) -> None:
    _, id_, hidden, _, said = hushed
    assert id_ in said
    assert found_in(said.encode(), hidden) == []


def test_no_command_line_holds_a_secret_and_no_engine_has_the_fleets_own_in_its_environment(hushed) -> None:
    _, _, hidden, seen, _ = hushed
    assert found_in("\n".join(seen["argv"]).encode(), hidden) == []
    assert seen["engines"]
    environments = "\n".join(seen["engines"]).encode()
    assert found_in(environments, hidden, but=("env",)) == []


def test_redis_holds_no_key_and_no_secret_that_a_campaign_refers_to(hushed) -> None:
    fleet, id_, hidden, _, _ = hushed
    client = fleet.store.client
    for key in client.scan_iter(count=1000):
        whole = client.dump(key) or b""
        texts = [whole]
        if client.type(key) == b"stream":
            texts += [value for _, fields in client.xrange(key) for value in fields.values()]
        if client.type(key) == b"hash":
            texts += list(client.hgetall(key).values())
        for text in texts:
            # what stands in the campaign file itself travels with it, and is masked where it leaves
            of_the_file = key in {names.journal(id_).encode(), names.specs(id_).encode()}
            assert found_in(text, hidden, but=("literal", "query") if of_the_file else ()) == [], key
