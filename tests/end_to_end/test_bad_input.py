"""`shakeout run` on what cannot work: refused clearly, by the promised exit code, with nothing left."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USAGE, INVALID, INTERNAL = 2, 4, 70
WITHIN_S = 90.0
GOLDEN = '{"id": "a", "request": {"messages": []}, "expected": {"content": ""}}\n'
REGRESSION = """
campaign: golden
seed: 1
targets:
  chat: {{protocol: openai-chat, model: demo, url: "http://127.0.0.1:9"}}
phases:
  - name: smoke
    activities:
      - {{name: golden, kind: regression, target: chat, golden: "{golden}", slos: ["pass_rate >= 100%"]}}
"""
PATIENT = "place_within: 60s\ntargets"


@pytest.fixture
def small(load) -> Callable[..., str]:
    """A load of 2 s on one shard, whose phase has a minute to begin."""

    def write(url: str, **given: object) -> str:
        text = load(url, **({"shards": 1, "process": "constant", "rate": "20/s", "duration": "2s"} | given))
        return text.replace("timeout: 5s", "timeout: 1s").replace("targets", PATIENT)

    return write


@pytest.mark.parametrize(
    ("was", "is_", "said"),
    [
        ("seed: 11", "seed: 11\nsede: 2", "campaign-0.yaml:4:1: sede: unknown key (did you mean seed?)"),
        ("seed: 11", "seed: 11\nseed: 12", "campaign-0.yaml:4:1: "),
        ("duration: 2s", "duration: 2/s", "campaign-0.yaml:17:"),
        ("duration: 2s", "duration: 2", "say 2s"),
        ("rate: 20/s", "rate: -20/s", "negative"),
        ("seed: 11", "seed: 16:00", "campaign-0.yaml:3:"),
        ('["success_rate >= 90%"]', "[goodput(ttft < 1s, tpot < 50ms) >= 95%]", "in [ ] a comma splits"),
        ("{synthetic: {input_tokens: 8, output_tokens: 4}}", "nowhere.jsonl", "nowhere.jsonl is missing"),
        ("kind: load", "kind: batch", "batch"),
        ("protocol: openai-chat", "protocol: kserve-v2", "made-up prompts need an openai target"),
        ("target: chat", "target: chat\n        shadow: chat", "shadow"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_its_place_and_leaves_nothing(
    run, small, tmp_path, was: str, is_: str, said: str
) -> None:
    text = small("http://127.0.0.1:9")
    assert was in text
    one = run(text.replace(was, is_))
    assert one.wait() == USAGE, one.output
    assert said in one.output
    assert "Traceback" not in one.output
    assert not one.folder.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["campaign-0.yaml"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"max_tokens": 3}', 'rows.jsonl:3: an openai-chat row needs "messages"'),
        ('{"prompt": ', "rows.jsonl:3: "),
    ],
)
def test_a_broken_row_of_data_is_refused_with_its_line_before_anything_starts(
    run, small, target, tmp_path, line: str, said: str
) -> None:
    whole = '{"prompt": "x"}\n'
    (tmp_path / "rows.jsonl").write_text(f"{whole}{whole}{line}\n{whole}")
    demo = target()
    one = run(small(demo.url).replace("{synthetic: {input_tokens: 8, output_tokens: 4}}", "rows.jsonl"))
    assert one.wait() == USAGE, one.output
    assert said in one.output
    assert not one.folder.exists()
    assert demo.received() == []


def test_an_unquoted_time_is_text_and_not_a_number_of_seconds(run, small) -> None:
    gameday = "seed: 11\ngameday:\n  window: {days: [tue], from: 09:30, to: 960, timezone: Europe/Berlin}"
    one = run(small("http://127.0.0.1:9").replace("seed: 11", gameday))
    assert one.wait() == USAGE
    assert "campaign-0.yaml:5:38: gameday.window.to:" in one.output
    assert "gameday.window.from" not in one.output, "09:30 without quotes is a time"


def test_all_problems_of_a_file_are_said_at_once(run, small) -> None:
    text = small("http://127.0.0.1:9").replace("seed: 11", "seed: -1\nsede: 2").replace("20/s", "20")
    one = run(text)
    assert one.wait() == USAGE
    assert "3 problems" in one.output


def test_a_golden_file_that_is_no_utf8_is_refused_with_its_line(run, tmp_path) -> None:
    golden = tmp_path / "golden.jsonl"
    golden.write_bytes(GOLDEN.encode() + GOLDEN.replace('"a"', '"b"').encode() + b'{"id": "\xff\xfe"}\n')
    one = run(REGRESSION.format(golden="golden.jsonl"))
    assert one.wait() == USAGE, one.output
    assert "golden.jsonl:3" in one.output or "golden.jsonl, line 3" in one.output, one.output
    assert "UTF-8" in one.output
    assert not one.folder.exists()


def test_a_campaign_file_that_is_no_utf8_or_not_there_is_refused(run, tmp_path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_bytes(b"campaign: t\nseed: 1 # \xff\n")
    for file, said in ((broken, "UTF-8"), (tmp_path / "no.yaml", "no such file"), (tmp_path, "directory")):
        ended = shakeout("run", str(file), cwd=tmp_path)
        assert ended.returncode == USAGE, ended
        assert said in ended.stderr
        assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("name", ["prelaunch"])
def test_an_example_that_needs_more_than_works_names_all_that_is_missing(tmp_path, name: str) -> None:
    ended = shakeout("run", str(ROOT / "examples" / f"{name}.yaml"), cwd=tmp_path)
    if ended.returncode != USAGE:
        pytest.fail(ended.stdout + ended.stderr)
    assert "do not run in this version" in ended.stderr
    assert "kind search" in ended.stderr
    assert not list(tmp_path.iterdir())


def test_an_unknown_option_is_refused_with_the_nearest_one(tmp_path) -> None:
    ended = shakeout("run", "x.yaml", "--workrs", "3", cwd=tmp_path)
    assert ended.returncode == USAGE
    assert "--workers" in ended.stderr


def test_a_folder_that_holds_a_report_is_not_written_over(run, small, tmp_path) -> None:
    (tmp_path / "out-0").mkdir()
    (tmp_path / "out-0" / "report.json").write_text("{}")
    one = run(small("http://127.0.0.1:9"))
    assert one.wait() == USAGE
    assert "already holds a report" in one.output
    assert [path.name for path in one.folder.iterdir()] == ["report.json"]


def test_results_under_a_file_are_refused(run, small, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    one = run(small("http://127.0.0.1:9"), "--out", str(tmp_path / "file" / "x"))
    assert one.wait() == USAGE
    assert "results cannot be written to" in one.output
    assert "Not a directory" in one.output


def test_a_pass_whose_results_cannot_be_written_is_none(run, small, target, tmp_path) -> None:
    (tmp_path / "out-0").mkdir()
    (tmp_path / "out-0" / "parts").write_text("a file where the run wants a folder")
    one = run(small(target().url, rate="50/s"))
    assert one.wait() == INTERNAL, one.output
    assert "the results could not be written" in one.output
    assert "parts" in one.output
    assert not (one.folder / "report.json").exists()
    assert not (one.folder / "work").exists()


def test_a_target_off_the_allow_list_is_refused_at_once_and_says_how_to_allow_it(run, small) -> None:
    one = run(small("http://192.0.2.1:80"))
    assert one.wait() == INVALID, one.output
    assert "--allow-target 192.0.2.1:80" in one.output
    assert "nothing was sent to it" in one.output


def test_a_need_that_no_worker_meets_is_said_with_who_came_nearest(run, small) -> None:
    text = small("http://127.0.0.1:9").replace("place_within: 60s", "place_within: 3s")
    one = run(text.replace("target: chat", 'target: chat\n        where: {gpus: ">=64"}'))
    assert one.wait() == INVALID, one.output
    assert "no worker with 64 or more GPUs" in one.output
    assert "nearest is local-1" in one.output


def test_a_demo_target_whose_port_is_taken_says_so(tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = shakeout("demo-target", "--port", str(port), cwd=tmp_path)
    assert ended.returncode == 1, ended
    assert str(port) in ended.stderr
    assert "in use" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.root
def test_a_full_disk_is_refused_before_anything_starts(run, small, mounted) -> None:
    place = mounted("size=64k")
    fill(place)
    one = run(small("http://127.0.0.1:9"), "--out", str(place / "out"))
    assert one.wait() == USAGE, one.output
    assert "No space left on device" in one.output
    assert not (place / "out").exists()


@pytest.mark.root
def test_a_disk_too_small_for_a_run_is_refused_and_left_as_it_was(run, small, mounted) -> None:
    place = mounted("size=512k")
    one = run(small("http://127.0.0.1:9"), "--out", str(place / "a" / "out"))
    assert one.wait() == USAGE, one.output
    assert "No space left on device" in one.output
    assert not list(place.iterdir())


@pytest.mark.root
def test_a_disk_that_fills_up_during_the_run_ends_it_in_time_with_that_reason(
    run, small, mounted, target, until
) -> None:
    demo = target()
    place = mounted("size=8m")
    one = run(small(demo.url, duration="20s"), "--out", str(place / "out"))
    until(lambda: len(demo.received()) > 10)
    fill(place)
    one.family()
    assert one.wait() == INVALID, one.output
    assert "no space left" in one.output.lower()
    assert "Traceback" not in one.output
    until(lambda: not one.survivors())


@pytest.mark.root
def test_a_folder_that_cannot_be_written_is_refused_before_anything_starts(run, small, mounted) -> None:
    one = run(small("http://127.0.0.1:9"), "--out", str(mounted("ro") / "out"))
    assert one.wait() == USAGE
    assert "Read-only file system" in one.output


@pytest.mark.root
def test_what_may_not_be_read_or_written_is_refused(small, tmp_path) -> None:
    file, locked = tmp_path / "campaign.yaml", tmp_path / "locked"
    file.write_text(small("http://127.0.0.1:9"))
    locked.mkdir(mode=0o555)
    ended = shakeout("run", str(file), "--out", str(locked / "out"), cwd=tmp_path, under=bound())
    assert ended.returncode == USAGE, ended
    assert "results cannot be written to" in ended.stderr
    assert "permission denied" in ended.stderr.lower()
    file.chmod(0)
    ended = shakeout("run", str(file), cwd=tmp_path, under=bound())
    assert ended.returncode == USAGE, ended
    assert "permission denied" in ended.stderr.lower()
    assert sorted(tmp_path.rglob("*")) == [file, locked]


def bound() -> tuple[str, ...]:
    """A command under which file permissions bind root, too; skips where there is none."""
    command = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
    if shutil.which("setpriv") is None or subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("setpriv cannot take the right to pass over permissions away here")
    return command


def fill(place: Path) -> None:
    """Take all space of a file system."""
    for size in (65536, 4096):
        try:
            with (place / f"filler-{size}").open("wb", buffering=0) as filler:
                while filler.write(b"0" * size):
                    pass
        except OSError:
            continue


def shakeout(*argv: str, cwd: Path, under: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    """A command that ends by itself."""
    return subprocess.run(
        [*under, sys.executable, "-m", "orchestrator", *argv],
        cwd=cwd, capture_output=True, text=True, timeout=WITHIN_S, check=False,
    )  # fmt: skip
