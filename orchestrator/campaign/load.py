"""A campaign file to a checked campaign: all that is wrong comes at once, each with its place in the file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.campaign.advice import advise
from orchestrator.campaign.checks import check
from orchestrator.campaign.defaults import with_defaults
from orchestrator.campaign.empties import check_empty
from orchestrator.campaign.files import check_files
from orchestrator.campaign.findings import Finding, dotted, existing, locate
from orchestrator.campaign.models import Campaign
from orchestrator.campaign.overrides import apply
from orchestrator.campaign.references import check_references, literal
from orchestrator.campaign.repair import validate
from orchestrator.campaign.yaml_reader import MAX_BYTES, Node, YamlError, decode, plain, read
from orchestrator.campaign.yaml_reader import Path as KeyPath
from orchestrator.errors import CampaignFileError, Problem


@dataclass(frozen=True, slots=True)
class LoadedCampaign:
    """A campaign that may be planned and run.

    `text` is the file's text, to be kept with the run; `sets` the `--set` values that were applied to it.
    `warnings` are no errors: a target that nobody uses, an activity that nobody judges.
    """

    campaign: Campaign
    text: str
    path: Path
    sets: tuple[str, ...]
    warnings: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the text came from, to say where each finding stands."""

    file: Path
    root: Node
    set_paths: tuple[KeyPath, ...] = ()

    def problem(self, finding: Finding) -> Problem:
        """The finding with its line and column; 0 where the value came by --set."""
        path = dotted(existing(self.root, finding.path))
        message, hint = finding.message, finding.hint
        if finding.path and any(finding.path[: len(one)] == one for one in self.set_paths):
            hint = f"{hint}; set by --set" if hint else "set by --set"
            return Problem(str(self.file), 0, 0, dotted(finding.path), message, hint)
        if not finding.path and message.startswith("--set"):
            return Problem(str(self.file), 0, 0, "", message, hint)
        place = locate(self.root, finding.path, finding.offset)
        return Problem(str(self.file), place.line, place.column, path, message, hint)

    def problems(self, findings: Iterable[Finding]) -> tuple[Problem, ...]:
        """Each once, in the order of the file."""
        each = {self.problem(finding): None for finding in findings}
        return tuple(sorted(each, key=lambda one: (one.line, one.column)))


def load_campaign(path: Path, *, sets: Sequence[str] = ()) -> LoadedCampaign:
    """Read and check a campaign file; `sets` are PATH=VALUE, replaced before anything is checked.

    Files that it names are looked for beside it. Raises CampaignFileError with every problem.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else _why_not(error)
        raise CampaignFileError((Problem(str(path), 0, 0, "", reason),), file=path) from None
    try:
        text = decode(raw)
    except YamlError as error:
        raise _yaml_problems(error, path) from None
    return _load(text, path, path.parent, sets)


def load_campaign_text(
    text: str, *, base: Path | None = None, sets: Sequence[str] = (), name: str = "campaign.yaml"
) -> LoadedCampaign:
    """Check the text of a campaign file; files are looked for in `base`, and not at all where it is None.

    Raises CampaignFileError with every problem.
    """
    return _load(text, Path(name) if base is None else base / name, base, sets)


def _load(text: str, path: Path, base: Path | None, sets: Sequence[str]) -> LoadedCampaign:
    try:
        root = read(text)
    except YamlError as error:
        raise _yaml_problems(error, path) from None
    document = plain(root)
    if not isinstance(document, dict):
        problem = Problem(str(path), 1, 1, "", "a campaign file is a mapping", "begin with campaign: NAME")
        raise CampaignFileError((problem,), file=path)
    set_paths, found = apply(document, sets)
    source = _Source(path, root, set_paths)
    document = {key: value for key, value in document.items() if not key.startswith("x-")}
    found += tuple(check_references(document))
    repaired = validate(with_defaults(literal(document)))
    refused = {one.path for one in repaired.findings}
    empty = tuple(one for one in check_empty(document) if one.path not in refused)
    found += (*repaired.findings, *empty)
    if repaired.campaign is not None:
        across = list(check(repaired.campaign))
        across += check_files(repaired.campaign, base) if base is not None else []
        repaired = repaired.without(one.path for one in empty)
        found += tuple(one for one in across if not repaired.touches(one.path))
    if found or repaired.campaign is None:
        raise CampaignFileError(source.problems(found), file=path)
    warnings = source.problems(advise(repaired.campaign))
    return LoadedCampaign(repaired.campaign, text, path, tuple(sets), warnings)


def _why_not(error: OSError) -> str:
    return f"cannot be read: {(error.strerror or str(error)).lower()}"


def _yaml_problems(error: YamlError, path: Path) -> CampaignFileError:
    problems = tuple(
        Problem(str(path), flaw.place.line, flaw.place.column, "", flaw.message, flaw.hint)
        for flaw in error.flaws
    )
    return CampaignFileError(problems, file=path)
