"""An experiment -> the campaign that comes nearest to it, and all that this campaign does not have. Pure."""

from collections.abc import Mapping
from typing import Final

from orchestrator.campaign.findings import dotted, undotted
from orchestrator.campaign.load import load_campaign_text
from orchestrator.campaign.units import duration_or_zero_s, duration_text
from orchestrator.campaign.yaml_reader import Path
from orchestrator.chaostoolkit.experiment import Experiment
from orchestrator.chaostoolkit.faults import add_faults
from orchestrator.chaostoolkit.imported import Draft, Imported, slug
from orchestrator.chaostoolkit.traffic import add_traffic
from orchestrator.chaostoolkit.writing import campaign_text
from orchestrator.errors import CampaignFileError

TAIL_S: Final = 40.0
"""Of traffic after the last fault: a recovery is seen 5 s after it began."""


def convert(experiment: Experiment) -> Imported:
    """Make the campaign that comes nearest to the experiment, and say all that it does not have.

    A step that comes to something which no campaign takes is left out, with what the check says of it.
    """
    refused: dict[Path, str] = {}
    while True:
        draft, imported = _converted(experiment, refused)
        found = _refused(imported, draft)
        if not found.keys() - refused.keys():
            return imported
        refused |= found


def _refused(imported: Imported, draft: Draft) -> dict[Path, str]:
    """What the campaign's own check has against it, by the step that it comes from."""
    try:
        load_campaign_text(campaign_text(imported, source=""))
    except CampaignFileError as error:
        problems = error.problems
    else:
        return {}
    names = [str(one["name"]) for one in (*draft.loads, *draft.faults)]
    found: dict[Path, str] = {}
    for problem in problems:
        steps = undotted(problem.path) if problem.path else ()
        name = ""
        if steps[:1] == ("targets",) and len(steps) > 1:
            name = str(steps[1])
        elif steps[:1] == ("phases",) and len(steps) > 3 and isinstance(steps[3], int):
            name = names[steps[3]]
        if name in draft.origins:
            found.setdefault(draft.origins[name], f"{dotted(steps)}: {problem.message}")
    return found


def _converted(experiment: Experiment, refused: Mapping[Path, str]) -> tuple[Draft, Imported]:
    draft = Draft(slug(experiment.title, taken=[], otherwise="experiment"), experiment.root, refused)
    for path, why in experiment.beside:
        draft.leave_out(path, str(path[-1]), why)
    for name, reference in experiment.variables.secret.items():
        draft.to_do.append(f"secret {name!r} is not copied: the workers find it at {reference}")
    add_traffic(draft, experiment)
    end_s = add_faults(draft, experiment)
    left_out = tuple(sorted(draft.left_out, key=lambda left: left.line))
    document = _document(draft, experiment, end_s)
    return draft, Imported(document, draft.rows, left_out, tuple(draft.to_do))


def _document(draft: Draft, experiment: Experiment, end_s: float) -> dict[str, object]:
    ends = [end_s]
    for fault in draft.faults:
        ends.append(duration_or_zero_s(fault["at"]) + duration_or_zero_s(fault.get("for", "0s")))
    duration = duration_text(max(ends) + TAIL_S)
    outside = " outside faults" if draft.faults else ""
    loads = []
    for load in draft.loads:
        slos = load.get("slos")
        judged = {"slos": [f"{one}{outside}" for one in slos]} if isinstance(slos, list) else {}
        loads.append({**load, "duration": duration, **judged})
    description = ": ".join(filter(None, (experiment.title, experiment.description)))
    phase = {"name": "experiment", "activities": [*loads, *draft.faults]}
    return {
        "campaign": draft.name,
        "description": description,
        "targets": draft.targets,
        "phases": [phase],
    }
