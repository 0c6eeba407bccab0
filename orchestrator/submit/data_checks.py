"""What is wrong inside the files that loads are made from: found before anything runs, by file and line."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path as FolderPath
from typing import Any, Final

import msgspec

from orchestrator.campaign.arrivals import FileData, Lengths, SyntheticData
from orchestrator.campaign.checks.walk import activities, target_of
from orchestrator.campaign.files import is_url
from orchestrator.campaign.findings import Finding, dotted, locate
from orchestrator.campaign.load import LoadedCampaign
from orchestrator.campaign.models import (
    Campaign,
    LoadActivity,
    RegressionActivity,
    SearchActivity,
    SoakActivity,
    Target,
)
from orchestrator.campaign.yaml_reader import Path, read
from orchestrator.errors import CampaignFileError, Problem, ShakeoutError
from orchestrator.slo.names import GIVEN_TAGS
from orchestrator.specs import takes_prompts, target_spec
from orchestrator.submit.recorded import Recording, read_recording
from orchestrator.submit.trace_checks import check_faults, check_recorded
from workers.contract.errors import DataError, ProtocolError
from workers.contract.files.conversation import proving
from workers.contract.files.data_rows import read_row, recorded_lengths
from workers.contract.files.golden import read_golden
from workers.contract.files.histograms import read_histogram
from workers.contract.files.length_tables import LengthTable, has_lengths
from workers.contract.files.tables import form_of, read_rows
from workers.contract.json_text import decode
from workers.contract.kinds import resolve
from workers.protocols import TABLE

MOST_ROWS: Final = 200_000
"""Rows of one file that are looked at, in two seconds; engines prove a sample of all of them."""
MOST_PROBLEMS: Final = 20
"""Broken rows listed before the rest is left out: enough to see the pattern."""

Traffic = LoadActivity | SoakActivity | SearchActivity
Build = Callable[[Mapping[str, object]], object]


def check_data(loaded: LoadedCampaign) -> tuple[Problem, ...]:
    """What is wrong in the data, traces, histograms and tokenizers that a campaign names.

    Local files only: those behind URLs are looked at where they are fetched. Of a data file, its first
    MOST_ROWS rows.
    """
    root = read(loaded.text)
    problems = []
    for finding in _findings(loaded.campaign, loaded.path.parent):
        place = locate(root, finding.path)
        path = dotted(finding.path)
        problems.append(
            Problem(str(loaded.path), place.line, place.column, path, finding.message, finding.hint)
        )
    return tuple(problems)


def prove_data(loaded: LoadedCampaign) -> None:
    """Raises CampaignFileError with all that `check_data` finds."""
    problems = check_data(loaded)
    if problems:
        raise CampaignFileError(problems, file=loaded.path)


def _findings(campaign: Campaign, base: FolderPath) -> Iterator[Finding]:
    for name, target in campaign.targets.items():
        if isinstance(target, Target) and target.tokenizer is not None and not is_url(target.tokenizer):
            yield from _tokenizer(("targets", name, "tokenizer"), base / target.tokenizer, target.tokenizer)
    recordings: dict[tuple[str, str], Recording] = {}
    for path, phase, activity in activities(campaign):
        if isinstance(activity, RegressionActivity):
            yield from _golden(path, activity, campaign=campaign, base=base)
        if not isinstance(activity, Traffic):
            continue
        if isinstance(activity.data, FileData) and not is_url(activity.data.file):
            yield from _data_file(path, activity, activity.data, campaign=campaign, base=base)
        if isinstance(activity.data, SyntheticData):
            yield from _histograms((*path, "data", "synthetic"), activity.data, base)
        arrivals = activity.arrivals
        if isinstance(activity, SearchActivity) or arrivals.trace is None or is_url(arrivals.trace):
            continue
        try:
            recording = read_recording(base, arrivals.trace, speed=arrivals.speed)
        except (DataError, ShakeoutError) as error:
            yield Finding((*path, "arrivals", "trace"), str(error))
            continue
        recordings[phase.name, activity.name] = recording
        yield from check_recorded(path, activity, recording, campaign=campaign, phase=phase)
        yield from check_faults(path[:2], phase, recordings)


def _golden(
    path: Path, activity: RegressionActivity, *, campaign: Campaign, base: FolderPath
) -> Iterator[Finding]:
    """Cases that the protocol can make no request of; a set that cannot be read is told elsewhere."""
    golden, target = activity.golden, target_of(campaign, activity.target)
    if golden is None or target is None or is_url(golden):
        return
    try:
        cases = read_golden(base / golden, name=golden, baseline=activity.baseline is not None)
        build = _builder(activity.target, target)
    except DataError:
        return
    wrong: list[str] = []
    for case in islice(cases, MOST_ROWS):
        try:
            build(case.request)
        except ProtocolError as error:
            wrong.append(f"{golden}:{case.line}: {error}")
        if len(wrong) == MOST_PROBLEMS:
            break
    for message in wrong:
        yield Finding((*path, "golden"), message)


def _histograms(path: Path, data: SyntheticData, base: FolderPath) -> Iterator[Finding]:
    for key in ("input_tokens", "output_tokens", "shared_prefix"):
        lengths = getattr(data.synthetic, key)
        name = lengths.histogram if isinstance(lengths, Lengths) else None
        if name is None or is_url(name):
            continue
        try:
            read_histogram(base / name, name=name)
        except DataError as error:
            yield Finding((*path, key, "histogram"), str(error))


def _tokenizer(path: Path, file: FolderPath, name: str) -> Iterator[Finding]:
    try:
        content = decode(file.read_bytes())
    except (OSError, ValueError) as error:
        yield Finding(path, f"{name} is no tokenizer.json: {error}")
        return
    if not isinstance(content, dict) or "model" not in content:
        hint = "the file that a model's publisher calls tokenizer.json"
        yield Finding(path, f"{name} is no tokenizer.json: it has no `model`", hint)


def _data_file(
    path: Path, activity: Traffic, data: FileData, *, campaign: Campaign, base: FolderPath
) -> Iterator[Finding]:
    """Broken rows of a data file, and objectives for tags that none of its rows has."""
    target = target_of(campaign, activity.target)
    if target is None:
        return
    lengths = takes_prompts(target.protocol)
    rows = _rows(base / data.file, data, lengths=lengths)
    problems: list[str] = []
    values: dict[str, set[str]] = {}
    count = 0
    try:
        build = _builder(activity.target, target)
        if getattr(activity, "sessions", None) is not None:
            build = proving(build)
        for where, row in islice(rows, MOST_ROWS):
            count += 1
            if count == 1:  # as engines do: what the first row is, all of them are
                lengths = lengths and _is_recorded(row)
            try:
                tags = _tags_of(row, data.tags, where=where, build=build, lengths=lengths)
            except (DataError, ValueError) as error:
                problems.append(str(error) if str(error).startswith(where) else f"{where}: {error}")
                if len(problems) >= MOST_PROBLEMS:
                    problems.append("... (the rest of the file was not looked at)")
                    break
                continue
            for tag, value in tags.items():
                values.setdefault(tag, set()).add(value)
    except DataError as error:
        problems.append(str(error))
    if problems:
        yield Finding((*path, "data"), "\n".join(problems))
    elif count == 0:
        yield Finding((*path, "data"), f"{data.file} has no rows; write one JSON object a line")
    elif count < MOST_ROWS:
        yield from _tagged(path, activity, data.file, values)


def _tagged(path: Path, activity: Traffic, name: str, values: Mapping[str, set[str]]) -> Iterator[Finding]:
    for index, expression in enumerate(activity.slos):
        tag = expression.suffixes.tag
        if tag is None or tag[0] in _given(activity) or tag[1] in values.get(tag[0], ()):
            continue
        known = ", ".join(sorted(values.get(tag[0], ()))[:12])
        hint = f"{tag[0]} is one of {known}" if known else f"no row has a tag {tag[0]}"
        yield Finding((*path, "slos", index), f"no row of {name} has {'='.join(tag)}", hint)


def _given(activity: Traffic) -> tuple[str, ...]:
    """Tags that a run gives its rows itself."""
    return GIVEN_TAGS if getattr(activity, "sessions", None) is None else (*GIVEN_TAGS, "turn")


def _rows(file: FolderPath, data: FileData, *, lengths: bool) -> Iterator[tuple[str, object]]:
    """Each row with its place in words. Raises DataError where the file as a whole cannot be read."""
    form = form_of(file, name=data.file)
    if lengths and form != "lines" and has_lengths(file, name=data.file, form=form):
        table = LengthTable(file, name=data.file, form=form, tags=data.tags)
        for place in range(table.count):
            yield table.where(place), decode(table.text(place))
        return
    for line, row in read_rows(file, name=data.file, form=form):
        yield f"{data.file}:{line}" if form == "lines" else f"{data.file}:row {line}", row


def _is_recorded(row: object) -> bool:
    try:
        return recorded_lengths(row, where="") is not None
    except DataError:
        return True


def _tags_of(
    row: object, columns: Sequence[str], *, where: str, build: Build, lengths: bool
) -> Mapping[str, str]:
    """Prove one row; its tags. Raises DataError or ValueError with what is wrong."""
    if isinstance(row, ValueError):
        raise row
    read = read_row(row, columns, where=where, number=1)
    if lengths and recorded_lengths(row, where=where) is not None:
        return read.tags
    try:
        build(read.request)
    except ProtocolError as error:
        raise DataError(f"{where}: {error}") from error
    return read.tags


def _builder(name: str, target: Target) -> Build:
    """What makes a request of a row. Raises DataError where the target's keys do not fit its protocol."""
    kind: Any = resolve("workers.protocols", TABLE, target.protocol)
    tls_apart = target.model_copy(update={"tls": None, "tokenizer": None})
    options = target_spec(name, tls_apart, files={}, urls={name: target.url or "http://127.0.0.1"}).options
    try:
        protocol = kind(msgspec.convert(options, kind.Options), seed=0, for_regression=False)
    except (msgspec.ValidationError, ProtocolError) as error:
        raise DataError(f"target {name} does not fit its protocol: {error}") from error
    build: Build = protocol.build
    return build
