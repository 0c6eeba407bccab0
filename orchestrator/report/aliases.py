"""What other tools would call the same data, as far as our sketches tell: METRICS.md section 1, at its end.

AIPerf's and vLLM's times run from the send, ours from the intended time. AIPerf's and GuideLLM's inter-token
latency is a mean per request: our `tpot`. GuideLLM's time per output token, (last - sent) / tokens, is a
quotient of two values of one request, which no sketch holds: it is left out.
Sources: AIPerf metrics reference, GuideLLM request statistics, vLLM benchmarks/serve.
"""

from typing import Any

from orchestrator.aggregate.totals import ActivityTotals
from orchestrator.report.quantities import quantities

_NAMES = {
    "aiperf": {
        "time_to_first_token_s": "ttft_sent",
        "inter_token_latency_s": "tpot",
        "request_latency_s": "service_time",
    },
    "guidellm": {"time_to_first_token_s": "ttft_sent", "inter_token_latency_s": "tpot"},
    "vllm": {"ttft_s": "ttft_sent", "tpot_s": "tpot", "itl_s": "itl", "e2el_s": "service_time"},
}


def aliases(totals: ActivityTotals) -> dict[str, Any]:
    """Tool -> its name -> Q; empty for traffic that does not stream, for then all tools mean the same."""
    if not totals.sketch("ttft_sent").count:
        return {}
    found: dict[str, Any] = {}
    for tool, names in _NAMES.items():
        measured = {name: quantities(totals.sketch(series)) for name, series in names.items()}
        found[tool] = {name: q for name, q in measured.items() if q is not None}
    return found
