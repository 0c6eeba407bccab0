"""METRICS.md section 1 as a table: a stream's bytes with the times at which they came, and its every series.

Milliseconds. The arrival was intended at 0, stood in line for 10, connected for 5, and was sent at 20: lag 5.
"""

import json
from dataclasses import dataclass, field

import pytest

from workers.engine.arrival import Arrival
from workers.engine.exchange import Exchange
from workers.engine.sender import measured
from workers.protocols.select import make_protocol

MS = 1_000_000
INTENDED, WAIT, CONNECT, SENT = 0, 10, 5, 20
HEADERS = [("content-type", "text/event-stream")]
DONE = b"data: [DONE]\n\n"


def chunk(finish=None, **delta):
    return event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def event(body):
    return f"data: {json.dumps(body)}\n\n".encode()


def usage(tokens, prompt=4):
    return event({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": tokens}})


ROLE = chunk(role="assistant", content="")
STOP = chunk(finish="stop")


@dataclass(frozen=True)
class Case:
    """Pieces by the time at which they came; the last one is the last byte. What is not named is absent."""

    pieces: tuple[tuple[int, bytes], ...]
    outcome: str = "ok"
    tokens: int | None = None
    ms: dict[str, float] = field(default_factory=dict)
    itl: tuple[float, ...] = ()


CASES = {
    "a token a chunk": Case(
        ((30, ROLE), (50, chunk(content="a")), (60, chunk(content="b")), (90, chunk(content="c")),
         (95, STOP), (100, usage(3) + DONE)),
        tokens=3, itl=(10, 30),
        ms={"ttft": 50, "ttft_sent": 30, "ttfot": 50, "tpot": 20, "decode": 25, "per_token": 80 / 3},
    ),
    "null, missing and empty deltas are not output": Case(
        ((30, ROLE), (40, chunk(content=None)), (45, chunk()), (48, chunk(content="")),
         (70, chunk(content="a")), (80, chunk(content="b", finish="stop")), (100, usage(2) + DONE)),
        tokens=2, itl=(10,),
        ms={"ttft": 70, "ttft_sent": 50, "ttfot": 70, "tpot": 10, "decode": 30, "per_token": 40},
    ),
    "several tokens in a chunk: tokens come from usage, gaps from chunks": Case(
        ((50, chunk(content="a b c d")), (90, chunk(content="e f g h i", finish="stop")),
         (90, usage(9) + DONE)),
        tokens=9, itl=(40,),
        ms={"ttft": 50, "ttft_sent": 30, "ttfot": 50, "tpot": 5, "decode": 5, "per_token": 70 / 9},
    ),
    "chunks that arrive together have a gap of nothing": Case(
        ((50, chunk(content="a") + chunk(content="b")), (60, STOP + usage(2) + DONE)),
        tokens=2, itl=(0,),
        ms={"ttft": 50, "ttft_sent": 30, "ttfot": 50, "tpot": 0, "decode": 10, "per_token": 20},
    ),
    "reasoning is output, but not the first that is no reasoning": Case(
        ((30, ROLE), (50, chunk(reasoning_content="hm")), (70, chunk(reasoning_content="so")),
         (80, chunk(content="a", finish="stop")), (80, usage(4) + DONE)),
        tokens=4, itl=(20, 10),
        ms={"ttft": 50, "ttft_sent": 30, "ttfot": 80, "tpot": 10, "decode": 10, "per_token": 15},
    ),
    "usage of nothing but zeros is absent, and so is what is made of tokens": Case(
        ((50, chunk(content="a")), (60, chunk(content="b", finish="stop")), (65, usage(0, prompt=0) + DONE)),
        itl=(10,), ms={"ttft": 50, "ttft_sent": 30, "ttfot": 50},
    ),
    "no usage at all: never the count of chunks": Case(
        ((50, chunk(content="a")), (60, chunk(content="b", finish="stop")), (65, DONE)),
        itl=(10,), ms={"ttft": 50, "ttft_sent": 30, "ttfot": 50},
    ),
    "one token has no time per further token": Case(
        ((50, chunk(content="a", finish="stop")), (60, usage(1) + DONE)),
        tokens=1, ms={"ttft": 50, "ttft_sent": 30, "ttfot": 50, "per_token": 40},
    ),
    "an end after finish_reason is whole though [DONE] never came": Case(
        ((50, chunk(content="a")), (70, chunk(content="b", finish="stop"))),
        itl=(20,), ms={"ttft": 50, "ttft_sent": 30, "ttfot": 50},
    ),
    "an end before finish_reason is incomplete and has no times of output": Case(
        ((50, chunk(content="a")), (70, chunk(content="b"))), outcome="incomplete",
    ),
    "an answer without any output has no first token": Case(
        ((30, ROLE), (60, STOP), (61, DONE)),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def protocol():
    options = {"model": "m", "url": "http://127.0.0.1:1", "stream": True}
    return make_protocol("openai-chat", options, seed=1, for_regression=False)


@pytest.mark.parametrize("name", CASES)
def test_every_series_of_a_stream_is_what_the_table_says(protocol, name):
    case = CASES[name]
    pieces = [(at * MS, data) for at, data in case.pieces]
    answer, timing = protocol.parse_stream(200, HEADERS, pieces)
    exchange = Exchange()
    exchange.connect_ns, exchange.sent_ns, exchange.last_ns = CONNECT * MS, SENT * MS, pieces[-1][0]
    arrival = Arrival(0, 0, INTENDED * MS, INTENDED * MS, wait_ns=WAIT * MS)
    sample = measured(arrival, exchange, answer=answer, timing=timing, late_ns=2 * MS)
    last = case.pieces[-1][0]
    whole = {"latency": last - INTENDED, "service_time": last - SENT, "wait": WAIT, "connect": CONNECT}
    whole |= {"lag": SENT - INTENDED - WAIT - CONNECT, "own_delay": SENT - WAIT - CONNECT + 2}
    assert (sample.outcome, answer.output_tokens) == (case.outcome, case.tokens)
    assert {key: getattr(sample, key) * 1e3 for key in whole} == pytest.approx(whole)
    streamed = ("ttft", "ttft_sent", "ttfot", "tpot", "decode", "per_token")
    found = {key: value * 1e3 for key in streamed if (value := getattr(sample, key)) is not None}
    assert found == pytest.approx(case.ms)
    assert [gap * 1e3 for gap in sample.itl] == pytest.approx(list(case.itl))
