"""What other tools would call the same data: METRICS.md section 1, at its end.

Their times run from the send, ours from the intended time. AIPerf and GuideLLM average a request's gaps over
its tokens and call that inter-token latency: up to the last output it is our `tpot`, up to the last byte our
`decode`. vLLM bench calls the latter time per output token, and pools the gaps of all requests as inter-token
latency: our `itl`. GuideLLM's time per output token, (last - sent) / tokens, holds the first token as well.
Sources: AIPerf metrics reference (time_to_first_token, inter_token_latency, inter_chunk_latency,
full_response_inter_token_latency); GuideLLM request statistics (time_per_output_token_ms,
inter_token_latency_ms); vLLM benchmarks/serve and its endpoint_request_func.
"""

from typing import Any

from orchestrator.aggregate.totals import ActivityTotals
from orchestrator.report.quantities import quantities

_NAMES = {
    "aiperf": {
        "time_to_first_token_s": "ttft_sent",
        "inter_token_latency_s": "tpot",
        "full_response_inter_token_latency_s": "decode",
        "inter_chunk_latency_s": "itl",
        "request_latency_s": "service_time",
    },
    "guidellm": {
        "time_to_first_token_s": "ttft_sent",
        "inter_token_latency_s": "tpot",
        "time_per_output_token_s": "per_token",
        "request_latency_s": "service_time",
    },
    "vllm": {"ttft_s": "ttft_sent", "tpot_s": "decode", "itl_s": "itl", "e2el_s": "service_time"},
}

HOW = {
    "ttft_sent": "first non-empty output − sent",
    "tpot": "(last output − first output) / (tokens − 1), one value a request",
    "decode": "(last byte − first output) / (tokens − 1), one value a request",
    "itl": "gaps between output chunks, pooled",
    "service_time": "last byte − sent",
    "per_token": "(last byte − sent) / tokens, one value a request",
}
"""How each series is made, in words; the report prints it beside the other tool's name."""


def aliases(totals: ActivityTotals) -> dict[str, Any]:
    """Tool -> its name -> Q; empty for traffic that does not stream, for then all tools mean the same.

    A name whose series was not measured (no tokens in any answer, say) is absent.
    """
    if not totals.sketch("ttft_sent").count:
        return {}
    found: dict[str, Any] = {}
    for tool, names in _NAMES.items():
        measured = {name: quantities(totals.sketch(series)) for name, series in names.items()}
        found[tool] = {name: q for name, q in measured.items() if q is not None}
    return found


def how(tool: str, name: str) -> str:
    """In words, how a tool's number is made; empty for one that is not known."""
    return HOW.get(_NAMES.get(tool, {}).get(name, ""), "")
