"""report.json -> JUnit XML: fail is a failure, inconclusive a failure of that type, invalid an error.

One test suite a phase; one test case an activity and one a claim; a skipped phase has one skipped case.
The last suite is the campaign itself, so that one stopped before any phase is no green pipeline.
"""

import re
from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree as ET

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 forbids even as a reference (section 2.2): a target's error text may hold it."""


def render_junit(report: dict[str, Any]) -> str:
    """The report as JUnit XML (the dialect that Jenkins, GitLab and GitHub actions read)."""
    campaign = report["campaign"]
    root = ET.Element("testsuites", name=_clean(campaign["name"]), time=f"{campaign['duration_s']:.3f}")
    for phase in report["phases"]:
        root.append(_suite(phase, report))
    whole = [one for one in report["slos"] if not one["phase"]]
    root.append(_campaign_suite(report, whole))
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(phase: dict[str, Any], report: dict[str, Any]) -> ET.Element:
    cases: list[ET.Element] = []
    if phase["verdict"] is None:
        skipped = _case(phase["name"], classname=f"{report['campaign']['name']}.{phase['name']}")
        ET.SubElement(skipped, "skipped", message=_clean(phase["skipped_because"]))
        cases.append(skipped)
    for key in phase["activities"]:
        said = report["activities"][key]
        reasons = said["reasons"]
        cases.append(
            _judged(f"{key}: verdict", said["verdict"], reasons, classname=_classname(report, phase, key))
        )
    for slo in report["slos"]:
        if slo["phase"] == phase["name"]:
            cases.append(_claim(slo, classname=_classname(report, phase, slo["activity"])))
    if phase["verdict"] is not None and not phase["activities"]:
        name = _classname(report, phase, phase["name"])
        cases.append(_judged(f"{phase['name']}: verdict", phase["verdict"], phase["reasons"], classname=name))
    return _counted(phase["name"], cases, time_s=phase["duration_s"], at=phase["started"])


def _campaign_suite(report: dict[str, Any], slos: list[dict[str, Any]]) -> ET.Element:
    """The campaign as a whole, so that a campaign stopped before any phase is no green pipeline."""
    name = report["campaign"]["name"]
    cases = [_judged(f"{name}: verdict", report["verdict"], report["reasons"], classname=name)]
    cases += [_claim(slo, classname=f"{name}.abort_if") for slo in slos]
    return _counted(name, cases, time_s=report["campaign"]["duration_s"], at=report["campaign"]["started"])


def _counted(name: str, cases: list[ET.Element], *, time_s: float | None, at: str | None) -> ET.Element:
    suite = ET.Element("testsuite", name=_clean(name), tests=str(len(cases)))
    for plural, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(plural, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("time", f"{time_s or 0:.3f}")
    if at is not None:
        suite.set("timestamp", at)
    suite.extend(cases)
    return suite


def _claim(slo: dict[str, Any], *, classname: str) -> ET.Element:
    place = "" if slo["place"] == "slos" else f" ({slo['place']})"
    return _judged(f"{slo['slo']}{place}", slo["verdict"], [slo["why"]], classname=classname)


def _judged(name: str, verdict: str, reasons: Iterable[str], *, classname: str) -> ET.Element:
    case = _case(name, classname=classname)
    lines = [_clean(reason) for reason in reasons]
    if verdict == "pass":
        out = ET.SubElement(case, "system-out")
        out.text = "\n".join(lines)
        return case
    tag = "error" if verdict == "invalid" else "failure"
    said = ET.SubElement(case, tag, type=verdict, message=lines[0] if lines else verdict)
    said.text = "\n".join(lines)
    return case


def _case(name: str, *, classname: str) -> ET.Element:
    return ET.Element("testcase", name=_clean(name), classname=_clean(classname), time="0")


def _classname(report: dict[str, Any], phase: dict[str, Any], activity: str) -> str:
    return f"{report['campaign']['name']}.{phase['name']}.{activity.removeprefix(phase['name'] + '/')}"


def _clean(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
