"""What other tools would say of the same requests, worked out by their own formulas."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest

from orchestrator.aggregate.totals import ActivityTotals
from orchestrator.report.aliases import aliases, how
from workers.contract.sketch import sketch_of, to_wire
from workers.contract.snapshot import Cell, Snapshot


@dataclass(frozen=True)
class Stream:
    """Times in seconds of one request, as another tool would note them."""

    sent: float
    outputs: tuple[float, ...]
    last: float
    tokens: int


STREAMS = (
    Stream(10.0, (10.2, 10.3, 10.3, 10.7), 10.75, 5),
    Stream(11.0, (11.05,), 11.05, 1),
    Stream(12.0, (12.5, 12.9), 13.0, 9),
)


def spread(s: Stream, until: float) -> list[float]:
    """From the first output on, over the tokens after the first; nothing for one token."""
    return [(until - s.outputs[0]) / (s.tokens - 1)] if s.tokens > 1 else []


def gaps(s: Stream) -> list[float]:
    return [later - earlier for earlier, later in pairwise(s.outputs)]


FORMULAS: dict[str, dict[str, Callable[[Stream], Sequence[float]]]] = {
    "aiperf": {
        "time_to_first_token_s": lambda s: [s.outputs[0] - s.sent],
        "inter_token_latency_s": lambda s: spread(s, s.outputs[-1]),
        "full_response_inter_token_latency_s": lambda s: spread(s, s.last),
        "inter_chunk_latency_s": gaps,
        "request_latency_s": lambda s: [s.last - s.sent],
    },
    "guidellm": {
        "time_to_first_token_s": lambda s: [s.outputs[0] - s.sent],
        "inter_token_latency_s": lambda s: spread(s, s.outputs[-1]),
        "time_per_output_token_s": lambda s: [(s.last - s.sent) / s.tokens],
        "request_latency_s": lambda s: [s.last - s.sent],
    },
    "vllm": {
        "ttft_s": lambda s: [s.outputs[0] - s.sent],
        "tpot_s": lambda s: spread(s, s.last),
        "itl_s": gaps,
        "e2el_s": lambda s: [s.last - s.sent],
    },
}

OURS: dict[str, Callable[[Stream], Sequence[float]]] = {
    "ttft_sent": lambda s: [s.outputs[0] - s.sent],
    "service_time": lambda s: [s.last - s.sent],
    "tpot": lambda s: spread(s, s.outputs[-1]),
    "itl": gaps,
    "decode": lambda s: spread(s, s.last),
    "per_token": lambda s: [(s.last - s.sent) / s.tokens],
}
"""METRICS.md section 1, and the two series that are kept for other tools' sake."""


def totals_of(**series: Sequence[float]) -> ActivityTotals:
    totals = ActivityTotals()
    cell = Cell(0, "", {"ok": 3}, {}, {name: to_wire(sketch_of(values)) for name, values in series.items()})
    totals.absorb(Snapshot("a", 0, "a:0:1", 1, 0.0, 3, 3, [], [cell]))
    return totals


@pytest.fixture(scope="module")
def said():
    made = {name: [value for one in STREAMS for value in form(one)] for name, form in OURS.items()}
    return aliases(totals_of(**made))


@pytest.mark.parametrize(("tool", "name"), [(tool, name) for tool in FORMULAS for name in FORMULAS[tool]])
def test_each_name_of_another_tool_is_what_its_own_formula_gives(said, tool, name):
    true = sorted(value for one in STREAMS for value in FORMULAS[tool][name](one))
    q = said[tool][name]
    assert q["count"] == len(true)
    assert q["mean"] == pytest.approx(sum(true) / len(true))
    assert q["max"] == pytest.approx(true[-1])
    assert q["p50"] == pytest.approx(true[(len(true) - 1) // 2], rel=0.005, abs=1e-9)
    assert how(tool, name)


def test_nothing_else_is_said_of_other_tools(said):
    assert {tool: set(names) for tool, names in said.items()} == {
        tool: set(names) for tool, names in FORMULAS.items()
    }


def test_without_tokens_only_what_needs_none_is_said():
    said = aliases(totals_of(ttft_sent=[0.1], service_time=[0.2], itl=[0.01]))
    assert set(said["vllm"]) == {"ttft_s", "itl_s", "e2el_s"}
    assert set(said["guidellm"]) == {"time_to_first_token_s", "request_latency_s"}


def test_traffic_that_does_not_stream_has_no_other_names():
    assert aliases(totals_of(latency=[0.1], service_time=[0.1])) == {}
    assert how("aiperf", "unknown") == ""
