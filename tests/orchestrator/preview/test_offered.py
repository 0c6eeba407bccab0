import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.plan import plan_of
from orchestrator.preview.offered import offer_of, offered_between, rates, search_levels
from workers.contract.schedule import OpenArrivals, Segment, per_second

DATA = "        data: {synthetic: {input_tokens: 8, output_tokens: 8}}\n"


@pytest.fixture
def offers(campaign_of):
    """The one activity of a phase, given as text, to its offer."""

    def offer(text, cases=None):
        campaign = campaign_of(("p", text))
        (planned,) = plan_of(campaign, seed=1).phases[0].activities
        return offer_of(planned, campaign.phases[0].activities[0], cases=cases)

    return offer


def load(arrivals, more=""):
    return (
        f"      - name: steady\n        kind: load\n        target: chat\n        duration: 30s\n"
        f"        arrivals: {{{arrivals}}}\n{DATA}{more}"
    )


@given(
    rate=st.sampled_from([0.1, 0.3, 1.0, 7.0, 19.9, 60.0]),
    length_s=st.sampled_from([1.0, 3.0, 10.0, 29.5]),
    ramp=st.sampled_from([0.0, 0.5, 1.0]),
    warmup=st.sampled_from([0.0, 0.25, 0.9]),
)
@settings(max_examples=150, deadline=None)
def test_a_constant_load_offers_exactly_what_is_said(rate, length_s, ramp, warmup):
    from orchestrator.preview.offered import _constant

    segments = [Segment(0.0, length_s * ramp, 0.0, rate)] if ramp else []
    segments += [Segment(length_s * ramp, length_s, rate, rate)] if ramp < 1 else []
    arrivals = OpenArrivals("constant", tuple(segments), 1, "s")
    assert _constant(arrivals, length_s) == per_second(arrivals).sum()
    assert _constant(arrivals, length_s * warmup) <= _constant(arrivals, length_s)


def test_a_constant_load_is_exact_and_a_random_one_is_expected(offers):
    assert (
        offers(load("process: constant, rate: 20/s")).requests,
        offers(load("process: constant, rate: 20/s")).exact,
    ) == (600, True)
    random = offers(load("process: poisson, rate: 60/s, ramp: 3s", "        warmup: 3s\n"))
    assert (random.requests, random.exact, random.in_warmup, random.peak_per_s) == (1710, False, 90, 60)


def test_what_only_the_run_can_tell_is_left_open_with_a_word(offers):
    closed = offers(load("process: closed, users: 12, think: 2s"))
    assert (closed.requests, closed.note) == (None, "12 users, each sends again 2 s after it has its answer")


def test_a_load_that_stops_with_its_data_is_not_exact(offers):
    text = load("process: constant, rate: 20/s").replace(
        DATA, "        data: {file: r.jsonl, at_end: stop}\n"
    )
    assert offers(text).exact is False
    assert "ends with its data" in offers(text).note


def regression(more):
    return f"      - name: golden\n        kind: regression\n        target: chat\n{more}"


def test_a_regression_offers_its_cases_its_mutations_or_its_probes(offers):
    assert offers(regression("        golden: g.jsonl\n"), cases=24).requests == 24
    mutated = offers(
        regression("        golden: g.jsonl\n        mutate: [oversize, null-field]\n"), cases=5000
    )
    assert mutated.requests == 2000
    assert offers(regression("        probes: [no-credentials]\n")).requests == 1


def test_a_search_says_how_many_levels_it_needs_at_most(campaign_of, offers):
    text = (
        "      - name: knee\n        kind: search\n        target: chat\n"
        "        arrivals: {process: poisson}\n"
        "        find: max rate\n"
        "        between: [500/s, 20000/s]\n        while: [p99(latency) < 1s]\n" + DATA
    )
    # 19500 / (5% of 500) needs ten halvings
    assert search_levels(campaign_of(("p", text)).phases[0].activities[0]) == 12
    assert "500 to 20,000/s, at most 12 levels of 60 s" in offers(text).note


def test_rates_are_means_of_equal_parts_and_add_up_over_loads():
    ramp = OpenArrivals("poisson", (Segment(0.0, 10.0, 0.0, 20.0),), 1, "a")
    flat = OpenArrivals("poisson", (Segment(0.0, 5.0, 4.0, 4.0),), 1, "b")
    assert rates([(ramp, 1)], length_s=10.0, columns=2) == pytest.approx((5.0, 15.0))
    assert rates([(ramp, 1), (flat, 1)], length_s=10.0, columns=2) == pytest.approx((9.0, 15.0))
    talks = [(ramp, 3), (flat, 1)]
    assert rates(talks, length_s=10.0, columns=2) == pytest.approx((19.0, 45.0)), "turns are requests too"
    assert sum(rates([(ramp, 1)], length_s=10.0, columns=60)) * 10 / 60 == pytest.approx(100.0)


def test_a_span_that_ends_before_it_begins_offers_nothing():
    flat = OpenArrivals("poisson", (Segment(0.0, 5.0, 4.0, 4.0),), 1, "b")
    assert offered_between(flat, 3.0, 2.0) == 0.0
    assert offered_between(flat, 1.0, 2.0) == 4.0
