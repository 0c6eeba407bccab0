"""CPU of parsing one 64-chunk chat stream: `python benchmarks/bench_sse.py`. The aim is at most 300 µs."""

import json
import statistics
import time

from workers.protocols.openai_chat import ChatOptions, OpenAIChat

CHUNKS = 64
AIM_US = 300
HEADERS = (("content-type", "text/event-stream"),)


def stream() -> list[tuple[int, bytes]]:
    """A stream as vLLM writes it: a role, 64 words, a finish_reason, usage and [DONE]; one event a piece."""
    shared = {
        "id": "chatcmpl-0123456789abcdef",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "demo",
    }
    deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": f" word{i}"}, None) for i in range(CHUNKS)]
    deltas += [({}, "length")]
    events: list[dict[str, object]] = [
        {**shared, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": end}]}
        for delta, end in deltas
    ]
    events.append({**shared, "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": CHUNKS}})
    lines = [f"data: {json.dumps(event)}\n\n".encode() for event in events] + [b"data: [DONE]\n\n"]
    return [(1_000_000 * i, line) for i, line in enumerate(lines)]


def measure_us(chunks: list[tuple[int, bytes]], *, rounds: int = 15, calls: int = 100) -> float:
    """Median over rounds of the CPU time of one parse_stream, in microseconds."""
    protocol = OpenAIChat(ChatOptions(model="demo"), seed=1, for_regression=False)
    costs = []
    for _ in range(rounds):
        begun_ns = time.process_time_ns()
        for _ in range(calls):
            answer, _timing = protocol.parse_stream(200, HEADERS, chunks)
        costs.append((time.process_time_ns() - begun_ns) / calls / 1000)
        assert answer.ok
        assert answer.output_tokens == CHUNKS
    return statistics.median(costs)


def main() -> None:
    lf = stream()
    crlf = [(at, piece.replace(b"\n", b"\r\n")) for at, piece in lf]
    merged = [(0, b"".join(piece for _, piece in lf))]
    for name, chunks in (("LF, one event a piece", lf), ("CRLF", crlf), ("all in one piece", merged)):
        print(f"{name:24} {measure_us(chunks):7.1f} µs a stream (aim {AIM_US})")


if __name__ == "__main__":
    main()
