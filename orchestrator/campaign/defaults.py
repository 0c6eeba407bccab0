"""Defaults that no field can hold by itself, because they follow from another part of the file."""

from typing import Any, Final

# What a demo target is sent where no data is named: its answers are made up, so may its prompts be.
DEMO_INPUT_TOKENS: Final = 32
DEMO_OUTPUT_TOKENS: Final = 32


def with_defaults(document: Any) -> object:
    """The document with made-up prompts for loads, soaks and searches on a demo target that name no data.

    examples/quickstart.yaml relies on it; every other target needs `data`, since only its owner knows what it
    takes. Whatever has not the expected shape is left alone: it is refused later, at its place.
    """
    targets = document.get("targets") if isinstance(document, dict) else None
    if not isinstance(targets, dict) or not isinstance(document.get("phases"), list):
        return document
    return document | {"phases": [_phase(phase, targets) for phase in document["phases"]]}


def _phase(phase: Any, targets: dict[str, Any]) -> object:
    if not isinstance(phase, dict) or not isinstance(phase.get("activities"), list):
        return phase
    return phase | {"activities": [_activity(one, targets) for one in phase["activities"]]}


def _activity(activity: Any, targets: dict[str, Any]) -> object:
    if not isinstance(activity, dict) or activity.get("kind") not in ("load", "soak", "search"):
        return activity
    name = activity.get("target")
    target = targets.get(name) if isinstance(name, str) else None
    if "data" in activity or "locustfile" in activity or not isinstance(target, dict):
        return activity
    if "demo" not in target or not str(target.get("protocol")).startswith("openai-"):
        return activity
    demo = target["demo"]
    tokens = demo.get("tokens", DEMO_OUTPUT_TOKENS) if isinstance(demo, dict) else DEMO_OUTPUT_TOKENS
    lengths = {"input_tokens": DEMO_INPUT_TOKENS, "output_tokens": tokens}
    return activity | {"data": {"synthetic": lengths}}
