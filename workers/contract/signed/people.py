"""What people say of a campaign while it lives: facts that they sign, each believed by whose key it was."""

import msgspec


class _Fact(msgspec.Struct, frozen=True, tag_field="fact", kw_only=True):
    """`signature`: over the campaign's id and all the rest, by who says it; "" in a fleet without keys."""

    at_s: float = 0.0
    signature: str = ""


class AbortAsked(_Fact, frozen=True, kw_only=True, tag="abort-asked"):
    """A person wants the campaign to stop now.

    `key`: whose signature it was, filled in by a leader that believes it; from Redis it is not believed.
    """

    by: str
    why: str = ""
    key: str = ""


class Noted(_Fact, frozen=True, kw_only=True, tag="noted"):
    """A person's remark for the timeline; `key` as in `AbortAsked`."""

    by: str
    text: str
    key: str = ""


class Observed(_Fact, frozen=True, kw_only=True, tag="observed"):
    """What a person saw of the target while the campaign runs; `key` as in `AbortAsked`."""

    by: str
    text: str
    key: str = ""


class Approved(_Fact, frozen=True, kw_only=True, tag="approved"):
    """A person lets a phase begin; `role`: as whom, "" for whoever must; `key` as in `AbortAsked`."""

    phase: str
    by: str
    role: str = ""
    why: str = ""
    key: str = ""


class Denied(_Fact, frozen=True, kw_only=True, tag="denied"):
    """A person does not let a phase begin, which aborts the campaign; fields as in `Approved`."""

    phase: str
    by: str
    role: str = ""
    why: str = ""
    key: str = ""


class StepDone(_Fact, frozen=True, kw_only=True, tag="step-done"):
    """A person has done a step of the runbook; `text`: what came of it; `key` as in `AbortAsked`."""

    step: str
    by: str
    text: str = ""
    key: str = ""


class Revealed(_Fact, frozen=True, kw_only=True, tag="revealed"):
    """A person shows everybody a hidden fault, by its activity's name; `key` as in `AbortAsked`."""

    activity: str
    by: str
    key: str = ""


Word = AbortAsked | Noted | Observed | Approved | Denied | StepDone | Revealed
"""What people say of a campaign once it is submitted."""
WORDS = (AbortAsked, Noted, Observed, Approved, Denied, StepDone, Revealed)
