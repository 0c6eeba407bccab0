"""Probes of an experiment -> traffic with objectives: what they ask once is asked all the time. Pure."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

from orchestrator.campaign.units import duration_text
from orchestrator.chaostoolkit.experiment import Experiment, Function, Http, Step
from orchestrator.chaostoolkit.imported import Draft, slug
from orchestrator.chaostoolkit.variables import unknown, unresolved

RATE: Final = "10/s"
"""What a probe becomes: enough for a baseline of one-second windows, little enough for any service."""
FAILURES: Final = ("connect", "reset", "timeout", "incomplete", "http_3xx", "http_4xx", "http_5xx")
PLACEHOLDER: Final = "http://127.0.0.1:8000"

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_UNFIT_HEADERS: Final = ("content-length", "host", "transfer-encoding")
_REFERENCE_FIRST: Final = re.compile(r"(\$\{(?:env|file):[A-Za-z0-9_]+\})(.*)", re.DOTALL)
_ALERT: Final = re.compile(r"ALERTS\{[^}]*alertname=[\"']([A-Za-z_][A-Za-z0-9_:.-]*)[\"']")
_STATUSES: Final = range(100, 600)
_FINE: Final = range(200, 300)
_OTHER_PROBE: Final = (
    "a campaign is judged by its traffic, by alerts and by gauges: "
    "say it in `slos` or `expect`, e.g. alert(NAME) never fires, metric(NAME) returns within 1m"
)
_CLASSES: Final = "single statuses are not told apart where several are allowed, their classes are"
_BODY: Final = "what is in the answer is not judged, its status is: say a regression with a golden set"


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request: probes that ask the same share one load."""

    base: str
    path: str
    method: str
    body: str


def add_traffic(draft: Draft, experiment: Experiment) -> None:
    """Give the draft a target and a load for each request that probes make, and alerts that they ask for."""
    loads: dict[_Asked, dict[str, object]] = {}
    for step in experiment.hypothesis:
        _probe(draft, loads, step, place=None)
    for place, step in enumerate(experiment.method):
        if step.kind == "probe":
            _probe(draft, loads, step, place=place)
    if draft.never or draft.fires:
        _monitor(draft, experiment)
    if not draft.loads:
        _placeholder(draft)


def request_of(call: Http) -> tuple[str, str]:
    """The whole URL of a call and its body; a GET's arguments are its query."""
    if call.arguments in (None, {}, "", []):
        return call.url, ""
    if call.method == "GET" and isinstance(call.arguments, dict):
        mark = "&" if "?" in call.url else "?"
        return f"{call.url}{mark}{urlencode({key: str(value) for key, value in call.arguments.items()})}", ""
    return call.url, json.dumps(call.arguments)


def _probe(draft: Draft, loads: dict[_Asked, dict[str, object]], step: Step, *, place: int | None) -> None:
    """One probe; `place`: in the method, None for one of the hypothesis, whose tolerance is an objective."""
    call = step.provider
    what = f"probe {step.name!r}"
    if why := draft.refused.get(step.path):
        draft.leave_out(step.path, what, why)
        return
    if isinstance(call, Function) and call.module.startswith("chaosprometheus."):
        _query(draft, step, call, place=place)
        return
    if not isinstance(call, Http):
        draft.leave_out(step.path, what, _OTHER_PROBE)
        return
    if why := _unfit(call):
        draft.leave_out(step.path, what, why)
        return
    asked = _asked(call)
    if asked not in loads:
        loads[asked] = _load(draft, step, call, asked)
    if place is None:
        objective, why = objective_of(step.tolerance)
        slos = loads[asked].setdefault("slos", [])
        if isinstance(slos, list) and objective not in slos:
            slos.append(objective)
        if why:
            draft.leave_out((*step.path, "tolerance"), f"tolerance of {what}", why)


def objective_of(tolerance: object) -> tuple[str, str]:
    """The objective that a tolerance of a call comes to; and what of it is left out, and why."""
    fine = f"never({', '.join(FAILURES)})"
    if tolerance is None:
        return fine, ""
    statuses = _allowed(tolerance)
    if not statuses:
        return fine, _BODY
    if all(status in _FINE for status in statuses):
        return fine, ""
    if len(statuses) == 1:
        return f"always(http_{statuses[0]})", ""
    allowed = {f"http_{status // 100}xx" for status in statuses}
    kept = [kind for kind in FAILURES if kind not in allowed]
    whole = len(set(statuses)) == 100 * len(allowed)
    return f"never({', '.join(kept)})", "" if whole else _CLASSES


def _allowed(tolerance: object) -> list[int]:
    """The statuses that a tolerance allows; none where it is about something else."""
    if isinstance(tolerance, dict):
        if tolerance.get("target") != "status":
            return []
        kind = tolerance.get("type")
        if kind == "range":
            return _between(tolerance.get("range"))
        return _matching(tolerance.get("pattern")) if kind == "regex" else []
    statuses = [tolerance] if isinstance(tolerance, int) else tolerance
    if isinstance(statuses, bool | str) or not isinstance(statuses, list):
        return []
    return statuses if _are_statuses(statuses) else []


def _between(limits: object) -> list[int]:
    if not isinstance(limits, list) or len(limits) != 2 or not _are_statuses(limits):
        return []
    return list(range(limits[0], limits[1] + 1))


def _matching(pattern: object) -> list[int]:
    """Statuses that a pattern matches somewhere; three digits keep any pattern short."""
    try:
        known = re.compile(str(pattern))
    except re.error:
        return []
    return [status for status in _STATUSES if known.search(str(status))]


def _are_statuses(values: Sequence[object]) -> bool:
    return bool(values) and all(isinstance(value, int) and value in _STATUSES for value in values)


def _unfit(call: Http) -> str:
    """Why no load can make this call."""
    url, body = request_of(call)
    for text in (url, body, *call.headers.values()):
        if missing := unknown(text):
            return f"{missing} is not known: give it by --var"
    if unresolved(body):
        return "a value of the environment cannot stand in a body: give it by --var"
    if not url.startswith(("http://", "https://", "${env:", "${file:")):
        return f"{url!r} is no http(s) URL"
    try:
        urlsplit(url)
    except ValueError as error:
        return f"{url!r} is no URL: {error}"
    return "" if call.method in _METHODS else f"method {call.method} is not known here"


def _asked(call: Http) -> _Asked:
    url, body = request_of(call)
    if found := _REFERENCE_FIRST.fullmatch(url):
        return _Asked(found[1], found[2] or "/", call.method, body)
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Asked(f"{parts.scheme}://{parts.netloc}", path, call.method, body)


def _header(call: Http, name: str) -> str:
    return next((value for key, value in call.headers.items() if key.lower() == name), "")


def _load(draft: Draft, step: Step, call: Http, asked: _Asked) -> dict[str, object]:
    name = slug(step.name, taken=draft.targets, otherwise="service")
    target: dict[str, object] = {"protocol": "json-http", "url": asked.base, "path": asked.path}
    target["method"] = asked.method
    if call.timeout_s:
        target["timeout"] = duration_text(call.timeout_s)
    if not call.verify_tls and asked.base.startswith("https"):
        target["tls"] = {"verify": False}
    if headers := {key: one for key, one in call.headers.items() if key.lower() not in _UNFIT_HEADERS}:
        target["headers"] = headers
    draft.targets[name] = target
    draft.origins[name] = step.path
    if asked.body and "json" not in str(_header(call, "content-type")):
        draft.to_do.append(
            f"{name}: what Chaos Toolkit sends as a form is sent as JSON: see that it is taken"
        )
    file = f"{draft.name}.{name}.jsonl"
    body = json.loads(asked.body) if asked.body else {}
    draft.rows[file] = json.dumps(body if isinstance(body, dict) else {"value": body}) + "\n"
    if not isinstance(body, dict):
        target["body"] = "{{ value | tojson }}"
    load: dict[str, object] = {"name": name, "kind": "load", "target": name, "data": file}
    load["arrivals"] = {"process": "constant", "rate": RATE}
    draft.loads.append(load)
    return load


def _query(draft: Draft, step: Step, call: Function, *, place: int | None) -> None:
    """A query for an alert is an expectation; any other has no equal."""
    found = _ALERT.search(str(call.arguments.get("query", "")))
    if found is None:
        draft.leave_out(step.path, f"probe {step.name!r}", f"{_OTHER_PROBE}; a query is no gauge")
    elif place is None:
        draft.never.append(found[1])
    else:
        draft.fires.append((found[1], place))


def _monitor(draft: Draft, experiment: Experiment) -> None:
    """Where alerts are asked for; without an address of Prometheus they are left out."""
    url = experiment.variables.values.get("prometheus_base_url")
    path = ("configuration",)
    why = draft.refused.get(path, "where Prometheus is, is not said: give prometheus_base_url by --var")
    if not isinstance(url, str) or unknown(url) or path in draft.refused:
        draft.leave_out(path, "alerts that probes ask for", why)
        draft.never.clear()
        draft.fires.clear()
        return
    name = slug("prometheus", taken=draft.targets, otherwise="monitor")
    draft.targets[name] = {"prometheus": url}
    draft.origins[name] = path


def _placeholder(draft: Draft) -> None:
    """A campaign has traffic; where no probe makes any, somebody has to say what it is."""
    name = slug("service", taken=draft.targets, otherwise="service")
    draft.targets[name] = {"protocol": "json-http", "url": PLACEHOLDER, "path": "/", "method": "GET"}
    file = f"{draft.name}.{name}.jsonl"
    draft.rows[file] = "{}\n"
    slos = [f"never({', '.join(FAILURES)})"]
    arrivals = {"process": "constant", "rate": RATE}
    draft.loads.append(
        {"name": name, "kind": "load", "target": name, "data": file, "arrivals": arrivals, "slos": slos}
    )
    draft.to_do.append(f"no probe asks a service over HTTP: put its address into targets.{name}.url")
