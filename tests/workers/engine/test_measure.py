"""What one request's stamps say, and what it adds to a bound."""

from workers.contract.bounds import Bound, Limit
from workers.engine.arrival import Arrival
from workers.engine.exchange import Exchange
from workers.engine.measure import Measured, count, decode_s, gaps_s, lag_ns, per_token_s, tpot_s
from workers.engine.sender import id_lines, measured
from workers.protocols.contract import NO_TIMING, Answer, Timing

FAST = Bound((Limit("latency", "<", 0.1),))
GOOD = Bound((Limit("ttft", "<", 0.1), Limit("tpot", "<=", 0.05)), goodput=True)
GAPS = Bound((Limit("itl", "<", 0.02),))
OK = Answer(fields={}, output_tokens=3, input_tokens=5, ok=True, kind="ok")
MS = 1_000_000


def _exchange(*, sent, last, connect=0):
    exchange = Exchange()
    exchange.sent_ns, exchange.last_ns, exchange.connect_ns = sent * MS, last * MS, connect * MS
    return exchange


def test_lag_leaves_out_the_line_and_the_connection():
    assert lag_ns(sent_ns=100, intended_ns=10, wait_ns=20, connect_ns=30) == 40


def test_latency_runs_from_the_intended_time_and_service_time_from_the_first_byte():
    arrival = Arrival(0, 0, 10 * MS, 11 * MS, wait_ns=20 * MS)
    timing = Timing(output_times_ns=(80 * MS, 90 * MS, 120 * MS), first_non_reasoning_ns=90 * MS)
    sample = measured(
        arrival, _exchange(sent=50, last=130, connect=5), answer=OK, timing=timing, late_ns=2 * MS
    )
    assert (sample.latency, sample.service_time) == (0.12, 0.08)
    assert (sample.wait, sample.connect, sample.lag) == (0.02, 0.005, 0.015)
    assert (sample.ttft, sample.ttft_sent, sample.ttfot) == (0.07, 0.03, 0.08)
    assert (sample.tpot, sample.itl) == (0.02, (0.01, 0.03))
    assert sample.own_delay == 0.017


def test_an_answer_in_one_piece_has_no_times_of_tokens():
    sample = measured(Arrival(0, 0, 0, 0), _exchange(sent=1, last=9), answer=OK, timing=NO_TIMING, late_ns=0)
    assert (sample.ttft, sample.ttfot, sample.tpot, sample.itl) == (None, None, None, ())


def test_tokens_come_from_the_answer_and_one_token_has_no_gap():
    assert tpot_s((0, 10, 30), 1) is None
    assert tpot_s((0, 10, 30), None) is None
    assert tpot_s((), 5) is None
    assert tpot_s((0, 1_000_000_000), 5) == 0.25
    assert gaps_s((7,)) == ()


def test_what_other_tools_make_of_a_stream_needs_its_tokens():
    assert decode_s((10, 30), 5, last_ns=4_000_000_010) == 1.0
    assert per_token_s((10,), 1, sent_ns=10, last_ns=2_000_000_010) == 2.0
    for tokens in (None, 0):
        assert per_token_s((10,), tokens, sent_ns=0, last_ns=9) is None
    for tokens in (None, 0, 1):
        assert decode_s((10,), tokens, last_ns=9) is None
    assert decode_s((), 5, last_ns=9) is None
    assert per_token_s((), 5, sent_ns=0, last_ns=9) is None


def test_failed_and_unsent_requests_are_over_and_those_without_the_series_are_left_out():
    assert count(FAST, Measured("timeout", latency=0.01)) == (1, 1, 1)
    assert count(FAST, Measured("unsent_target", latency=0.0)) == (1, 1, 1)
    assert count(Bound((Limit("ttft", "<", 1.0),)), Measured("ok", latency=0.01)) == (0, 0, 0)
    assert count(FAST, Measured("ok", latency=0.1)) == (1, 1, 1)
    assert count(Bound((Limit("latency", "<=", 0.1),)), Measured("ok", latency=0.1)) == (1, 0, 0)


def test_the_generators_own_delay_is_taken_off_only_what_runs_from_the_intended_time():
    assert count(FAST, Measured("ok", latency=0.12, own_delay=0.03)) == (1, 1, 0)
    assert count(FAST, Measured("ok", latency=0.12, own_delay=9.0)) == (1, 1, 0)
    served = Bound((Limit("service_time", "<", 0.1),))
    assert count(served, Measured("ok", latency=0.12, service_time=0.12, own_delay=0.03)) == (1, 1, 1)


def test_goodput_needs_every_limit_and_passes_over_a_series_that_is_not_there():
    assert count(GOOD, Measured("ok", latency=0.2, ttft=0.05, tpot=0.05)) == (1, 0, 0)
    assert count(GOOD, Measured("ok", latency=0.2, ttft=0.05)) == (1, 0, 0)
    assert count(GOOD, Measured("ok", latency=0.2, ttft=0.11, tpot=0.01, own_delay=0.02)) == (1, 1, 0)
    assert count(GOOD, Measured("ok", latency=0.2, ttft=0.11, tpot=0.06, own_delay=0.02)) == (1, 1, 1)
    assert count(GOOD, Measured("http_503", latency=0.2)) == (1, 1, 1)


def test_gaps_are_counted_each_and_failed_streams_have_none():
    assert count(GAPS, Measured("ok", latency=1.0, itl=(0.01, 0.02, 0.03))) == (3, 2, 2)
    assert count(GAPS, Measured("incomplete", latency=1.0)) == (0, 0, 0)


def test_every_request_has_its_own_trace_and_the_id_can_be_left_out():
    lines = id_lines("peak/17/1", campaign="c", id_header=True).split(b"\r\n")
    assert lines[0] == b"x-shakeout-id: peak/17/1"
    version, trace, span, flags = lines[1].removeprefix(b"traceparent: ").split(b"-")
    assert (version, len(trace), len(span), flags) == (b"00", 32, 16, b"01")
    assert id_lines("peak/17/1", campaign="c", id_header=False) == lines[1] + b"\r\n"
    assert id_lines("peak/18/1", campaign="c", id_header=False) != lines[1] + b"\r\n"
