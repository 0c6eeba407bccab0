"""The files that a campaign names, and whether they can be read from its folder."""

import ast
from collections.abc import Iterator
from pathlib import Path as FolderPath
from typing import Final

from orchestrator.campaign.arrivals import FileData, Lengths, SyntheticData
from orchestrator.campaign.checks.walk import activities
from orchestrator.campaign.fault_clients import named_rows
from orchestrator.campaign.findings import Finding
from orchestrator.campaign.models import Activity, Campaign, ChaosActivity, Monitor, Target
from orchestrator.campaign.yaml_reader import Path

_BY_KEY: Final = ("golden", "features", "locustfile")


def named_files(campaign: Campaign) -> Iterator[tuple[Path, str]]:
    """Each file with the path of the key that names it; relative names are relative to the campaign file."""
    for name, target in campaign.targets.items():
        yield from _of_target(("targets", name), target)
    for path, _, activity in activities(campaign):
        yield from _of_activity(path, activity)


def is_url(name: str) -> bool:
    """Whether fsspec fetches it (`s3://...`); such files are not looked at before the run."""
    return "://" in name


def check_files(campaign: Campaign, base: FolderPath) -> Iterator[Finding]:
    """Each local file that is missing or cannot be read."""
    for path, name in named_files(campaign):
        if is_url(name) or "${" in name:
            continue
        file = base / name
        if file.exists() and not file.is_file() and not file.is_dir():
            yield Finding(path, f"{name} is a pipe or a device, no file", "copy it into a file first")
            continue
        try:
            with file.open("rb") as stream:
                stream.read(1)
        except FileNotFoundError:
            folder = "" if file.parent.is_dir() else f"; there is no folder {file.parent}"
            hint = f"paths begin at the campaign file's folder, {base}"
            yield Finding(path, f"file {name} is missing{folder}", hint)
        except (OSError, ValueError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).lower()
            yield Finding(path, f"file {name} cannot be read: {reason}")
        else:
            if path[-1] == "locustfile":
                yield from _check_code(path, file)


def _check_code(path: Path, file: FolderPath) -> Iterator[Finding]:
    """Whether a locustfile is Python, and could have users; it is not run here."""
    try:
        tree = ast.parse(file.read_bytes(), filename=file.name)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f", line {line}" if line else ""
        yield Finding(path, f"{file.name}{where} is no Python: {getattr(error, 'msg', error)}")
        return
    if not any(isinstance(one, ast.ClassDef | ast.ImportFrom) for one in ast.walk(tree)):
        yield Finding(path, f"{file.name} has no class, so it has no users", "write one made of locust.User")


def _of_target(path: Path, target: Target | Monitor) -> Iterator[tuple[Path, str]]:
    if isinstance(target, Target) and target.tokenizer is not None:
        yield (*path, "tokenizer"), target.tokenizer
    for key in ("ca", "cert", "key"):
        name = getattr(target.tls, key, None)
        if name is not None:
            yield (*path, "tls", key), name


def _of_activity(path: Path, activity: Activity) -> Iterator[tuple[Path, str]]:
    for key in _BY_KEY:
        name = getattr(activity, key, None)
        if name is not None:
            yield (*path, key), name
    if isinstance(activity, ChaosActivity):
        yield from (((*path, *below), name) for below, name in named_rows(activity))
    arrivals = getattr(activity, "arrivals", None)
    if arrivals is not None and arrivals.trace is not None:
        yield (*path, "arrivals", "trace"), arrivals.trace
    data = getattr(activity, "data", None)
    if isinstance(data, FileData):
        yield (*path, "data", "file"), data.file
    if isinstance(data, SyntheticData):
        for key in ("input_tokens", "output_tokens", "shared_prefix"):
            lengths = getattr(data.synthetic, key)
            if isinstance(lengths, Lengths) and lengths.histogram is not None:
                yield (*path, "data", "synthetic", key, "histogram"), lengths.histogram
