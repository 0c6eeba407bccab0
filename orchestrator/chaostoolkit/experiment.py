"""An experiment of Chaos Toolkit, as its file says it: read with places, held as typed steps. Pure.

Source: the open API of experiments, chaostoolkit.org/reference/api/experiment.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from orchestrator.campaign.findings import Finding, dotted, locate
from orchestrator.campaign.yaml_reader import Node, Path, YamlError, plain, read
from orchestrator.chaostoolkit.variables import Variables, variables_of
from orchestrator.errors import CampaignFileError, Problem

MOST_STEPS: Final = 200
"""Of one experiment; a campaign with more faults than this is read by nobody."""

Kind = Literal["probe", "action"]

_KNOWN: Final = frozenset(
    {"version", "title", "description", "tags", "steady-state-hypothesis", "method", "rollbacks", "secrets"}
    | {"configuration", "contributions", "dry"}
)
_OF_STEP: Final = frozenset(
    {"type", "name", "title", "tags", "provider", "tolerance", "pauses", "background", "secrets", "secret"}
    | {"configuration"}
)
_OF_PROVIDER: Final = frozenset(
    {"type", "url", "method", "headers", "arguments", "timeout", "verify_tls", "path", "module", "func"}
    | {"secrets", "config"}
)
_FOUND_LATER: Final = "its value is found while an experiment runs: give it by --var where it is used"


@dataclass(frozen=True, slots=True)
class Http:
    """A call: `arguments` are the query of a GET, else the body."""

    url: str
    method: str
    headers: Mapping[str, str]
    arguments: object
    timeout_s: float | None
    verify_tls: bool = True


@dataclass(frozen=True, slots=True)
class Command:
    """A process: program and words; `shell`: its one text of arguments, which a shell reads."""

    program: str
    words: tuple[str, ...]
    shell: str = ""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a Python module."""

    module: str
    name: str
    arguments: Mapping[str, object]


Provider = Http | Command | Function


@dataclass(frozen=True, slots=True)
class Step:
    """One probe or action. `path`: where it stands; `tolerance`: None where there is none.

    `provider` is None where it is of a type that nobody knows, named by `type`. Pauses in seconds.
    """

    path: Path
    kind: Kind
    name: str
    type: str
    provider: Provider | None
    tolerance: object = None
    before_s: float = 0.0
    after_s: float = 0.0
    background: bool = False


@dataclass(frozen=True, slots=True)
class Experiment:
    """A whole experiment; `root`: its file, with places. `beside`: what else stands there, and what it is."""

    root: Node
    title: str
    description: str
    hypothesis: tuple[Step, ...]
    method: tuple[Step, ...]
    rollbacks: tuple[Step, ...]
    variables: Variables
    beside: tuple[tuple[Path, str], ...]


def read_experiment(text: str, *, file: str, given: Mapping[str, str]) -> Experiment:
    """Read the text of an experiment, JSON or YAML; `given` values go before those of `configuration`.

    Raises CampaignFileError with every problem where it is no experiment.
    """
    if text.lstrip().startswith("{"):
        text = text.replace("\t", " ")  # JSON may be indented so; inside its texts a tab cannot stand
    try:
        root = read(text)
    except YamlError as error:
        problems = tuple(
            Problem(file, flaw.place.line, flaw.place.column, "", flaw.message, flaw.hint)
            for flaw in error.flaws
        )
        raise CampaignFileError(problems) from None
    reading = _Reading(given)
    experiment = reading.experiment(root)
    if reading.findings:
        raise CampaignFileError(tuple(_problem(one, root, file) for one in reading.findings))
    return experiment


def _problem(finding: Finding, root: Node, file: str) -> Problem:
    place = locate(root, finding.path)
    return Problem(file, place.line, place.column, dotted(finding.path), finding.message, finding.hint)


class _Reading:
    """One reading: what was found wrong so far, and the steps that others refer to by name."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self._variables = Variables({}, {})
        self.findings: list[Finding] = []
        self._beside: list[tuple[Path, str]] = []
        self._named: dict[str, Step] = {}

    def experiment(self, root: Node) -> Experiment:
        """The experiment; one that is wrong is not to be used."""
        whole = self._mapping(plain(root), (), "an experiment is a mapping")
        if whole and "method" not in whole and "steady-state-hypothesis" not in whole:
            hint = "a Chaos Toolkit experiment has title, steady-state-hypothesis and method"
            self.findings.append(Finding((), "this is no experiment", hint))
        elif whole and not isinstance(whole.get("title"), str):
            self.findings.append(Finding(("title",), "is missing", "say what the experiment is about"))
        self._variables = variables_of(
            self._mapping(whole.get("configuration", {}), ("configuration",)),
            self._mapping(whole.get("secrets", {}), ("secrets",)),
            self._given,
        )
        hypothesis = self._mapping(whole.get("steady-state-hypothesis") or {}, ("steady-state-hypothesis",))
        self._tell_beside(whole, (), _KNOWN)
        self._tell_beside(hypothesis, ("steady-state-hypothesis",), frozenset({"title", "probes"}))
        self._beside += [(("configuration", name), _FOUND_LATER) for name in self._variables.later]
        return Experiment(
            root=root,
            title=str(whole.get("title", "")),
            description=str(whole.get("description", "")),
            hypothesis=tuple(
                self._steps(hypothesis.get("probes"), ("steady-state-hypothesis", "probes"), usual="probe")
            ),
            method=tuple(self._steps(whole.get("method"), ("method",), usual="action")),
            rollbacks=tuple(self._steps(whole.get("rollbacks"), ("rollbacks",), usual="action")),
            variables=self._variables,
            beside=tuple(self._beside),
        )

    def _tell_beside(self, mapping: Mapping[str, object], path: Path, known: frozenset[str]) -> None:
        """Note each key that nothing is made of."""
        self._beside += [
            ((*path, key), _BESIDE.get(key, "is not known here")) for key in mapping if key not in known
        ]

    def _steps(self, value: object, path: Path, *, usual: Kind) -> Iterator[Step]:
        """The steps of a list; `usual`: what one is that does not say."""
        items = value if isinstance(value, list) else []
        if value is not None and not isinstance(value, list):
            self.findings.append(Finding(path, "must be a list of probes and actions"))
        if len(items) > MOST_STEPS:
            self.findings.append(Finding(path, f"has {len(items)} steps; {MOST_STEPS} can be read"))
        for index, item in enumerate(items[:MOST_STEPS]):
            step = self._step(item, (*path, index), usual=usual)
            if step is not None:
                self._named.setdefault(step.name, step)
                yield step

    def _step(self, value: object, path: Path, *, usual: Kind) -> Step | None:
        item = self._mapping(value, path, "a step is a mapping")
        if isinstance(ref := item.get("ref"), str):
            return self._referred(ref, path)
        provider = self._mapping(item.get("provider", {}), (*path, "provider"))
        if not provider:
            if item or not isinstance(value, dict):
                self.findings.append(Finding(path, "has no provider", "or `ref`: the name of another step"))
            return None
        said = item.get("type")
        pauses = self._mapping(item.get("pauses") or {}, (*path, "pauses"))
        type_ = str(provider.get("type", "python" if "module" in provider else ""))
        self._tell_beside(item, path, _OF_STEP)
        self._tell_beside(provider, (*path, "provider"), _OF_PROVIDER)
        return Step(
            path=path,
            kind="probe" if said == "probe" else "action" if said == "action" else usual,
            name=str(item.get("name") or type_),
            type=type_,
            provider=self._provider(self._filled(provider), type_, (*path, "provider")),
            tolerance=self._variables.fill(item.get("tolerance")),
            before_s=self._seconds(pauses.get("before"), (*path, "pauses", "before")),
            after_s=self._seconds(pauses.get("after"), (*path, "pauses", "after")),
            background=item.get("background") is True,
        )

    def _referred(self, ref: str, path: Path) -> Step | None:
        step = self._named.get(ref)
        if step is None:
            self.findings.append(Finding((*path, "ref"), f"there is no step {ref!r} before it"))
            return None
        return Step(path, step.kind, step.name, step.type, step.provider, step.tolerance)

    def _filled(self, provider: Mapping[str, object]) -> Mapping[str, object]:
        filled = self._variables.fill(dict(provider))
        return filled if isinstance(filled, dict) else {}

    def _provider(self, provider: Mapping[str, object], type_: str, path: Path) -> Provider | None:
        needed = {"http": ("url",), "process": ("path",), "python": ("module", "func")}.get(type_, ())
        for key in needed:
            if not isinstance(provider.get(key), str):
                self.findings.append(Finding((*path, key), f"is missing (a {type_} provider needs it)"))
                return None
        if type_ == "http":
            return _http(provider)
        if type_ == "process":
            return _command(str(provider["path"]), provider.get("arguments"))
        if type_ == "python":
            arguments = provider.get("arguments")
            known = arguments if isinstance(arguments, dict) else {}
            return Function(str(provider["module"]), str(provider["func"]), known)
        return None

    def _seconds(self, value: object, path: Path) -> float:
        value = self._variables.fill(value)
        try:
            seconds = float(value) if isinstance(value, int | float | str) else 0.0
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= 24 * 3600:
            self.findings.append(Finding(path, f"{value!r} is no pause", "say seconds, from 0 to a day"))
            return 0.0
        return seconds

    def _mapping(self, value: object, path: Path, message: str = "must be a mapping") -> Mapping[str, object]:
        if isinstance(value, dict):
            return value
        self.findings.append(Finding(path, message))
        return {}


_BESIDE: Final[Mapping[str, str]] = {
    "controls": "controls are Python code around steps; `shakeout` has abort_if, approvals and a journal",
    "extensions": "extensions belong to other tools",
    "runtime": "strategies: here every fault is reverted, whatever comes of the campaign",
    "templates": "templates are not carried over",
    "expected_status": "the status is in the probe's `tolerance`",
    "max_retries": "each request is sent once: say `retries` in the load",
    "tolerance": "it belongs to the probe, not to its provider",
    "vars": "variables of that tool; give them by --var",
}


def _http(provider: Mapping[str, object]) -> Http:
    headers = provider.get("headers")
    timeout = provider.get("timeout")
    if isinstance(timeout, list) and timeout:  # connecting, reading
        timeout = timeout[-1]
    return Http(
        url=str(provider["url"]),
        method=str(provider.get("method", "GET")).upper(),
        headers={str(key): str(value) for key, value in headers.items()} if isinstance(headers, dict) else {},
        arguments=provider.get("arguments"),
        timeout_s=float(timeout) if isinstance(timeout, int | float) and timeout > 0 else None,
        verify_tls=provider.get("verify_tls") is not False,
    )


def _command(program: str, arguments: object) -> Command:
    """A mapping's keys and values stand one after the other; a text is read by a shell."""
    if isinstance(arguments, str):
        return Command(program, (), arguments)
    words: Sequence[object] = ()
    if isinstance(arguments, dict):
        words = [word for pair in arguments.items() for word in pair]
    elif isinstance(arguments, list):
        words = arguments
    return Command(program, tuple(str(word) for word in words if word not in (None, "")))
