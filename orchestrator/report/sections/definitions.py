"""What each word of the report means, short: METRICS.md section 1."""

from typing import Any

from orchestrator.report.aliases import how
from orchestrator.results.outcome import Outcome

TERMS = (
    ("intended", "the arrival's time in the schedule; for a closed loop, the time of the send"),
    ("latency", "from the intended time to the last byte: what a user who came then would have felt"),
    ("service time", "from the first byte sent to the last byte received: what the server did"),
    ("wait", "time an arrival stood in line because max_in_flight was reached; part of latency"),
    ("connect", "DNS, TCP and TLS before the request; part of latency"),
    ("lag", "the generator's own delay before the first byte; part of latency, never hidden"),
    ("time to first token", "from the intended time to the first output that is not empty; reasoning counts"),
    (
        "time per output token",
        "(last − first output) / (output tokens − 1): one value a request, from the server's usage",
    ),
    ("gap between chunks", "each gap between successive output chunks, pooled (itl); a chunk is not a token"),
    (
        "failed",
        (
            "sent, and ended as an HTTP error, timeout, reset, incomplete stream or invalid body; "
            "a connect that failed counts as sent, though the target's log cannot know of it"
        ),
    ),
    (
        "unsent",
        (
            "never sent: by the target, after a wait beyond the timeout or for a client's open breaker; "
            "by the generator, say by a lost shard"
        ),
    ),
    ("unknown", "may have been sent by a shard that was lost; its end was not observed"),
    ("coverage", "share of the scheduled arrivals whose end was observed"),
    (
        "goodput",
        "share of the requests that met every named limit; failed and target-unsent ones did not",
    ),
    ("effective samples", "samples after the design effect: requests of one second share its luck"),
    (
        "allowance used",
        "observed as a part of what the bound allows; for shares, the part of the error budget",
    ),
    (
        "recovery",
        "from the revert (of a one-shot fault: the injection) to the first of 5 windows back in the band",
    ),
    ("inconclusive", "too little data for the claim, at 99% confidence"),
    ("invalid", "the test was at fault: it lagged, lost coverage, or its fault had no effect"),
)


def definitions(report: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
    """The terms, and what other tools would call the same data."""
    del outcome
    named = {name: said["aliases"] for name, said in report["activities"].items() if said.get("aliases")}
    rows = [
        (activity, tool, name.removesuffix("_s").replace("_", " "), how(tool, name), q)
        for activity, tools in named.items()
        for tool, names in tools.items()
        for name, q in names.items()
    ]
    return {"terms": TERMS, "aliases": rows}
