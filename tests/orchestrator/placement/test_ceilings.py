import math
from dataclasses import replace

import pytest

from orchestrator.placement.ceilings import Ground, holdings, hosts_of, parts, refusal
from orchestrator.plan import plan_of
from workers.contract.schedule import peak_per_s

CLOSED = """\
      - name: users
        kind: load
        target: chat
        arrivals: {process: closed, users: 4}
        duration: 30s
        data: {synthetic: {input_tokens: 8, output_tokens: 8}}
"""
RETRYING = """\
      - name: again
        kind: load
        target: chat
        arrivals: {process: constant, rate: 10/s}
        duration: 30s
        data: {synthetic: {input_tokens: 8, output_tokens: 8}}
        retries: {attempts: 3}
"""
STAGED = """\
      - name: {name}
        kind: load
        target: chat
        arrivals: {{process: constant, stages: [{{rate: {first}/s, for: 10s}}, {{rate: {then}/s, for: 10s}}]}}
        data: {{synthetic: {{input_tokens: 8, output_tokens: 8}}}}
"""
CODE = """\
      - name: code
        kind: load
        target: chat
        arrivals: {process: closed, users: 4}
        duration: 30s
        locustfile: users.py
"""


@pytest.fixture
def planned(campaign_of):
    """A campaign with its plan, on a target with this ceiling."""

    def make(*activities, ceiling=None, top="", more_targets="", phases=None):
        named = phases or [("p", "".join(activities))]
        campaign = campaign_of(*named, top=top, more_targets=more_targets)
        if ceiling is not None:
            limited = campaign.targets["chat"].model_copy(update={"rate_limit": ceiling})
            campaign = campaign.model_copy(update={"targets": campaign.targets | {"chat": limited}})
        return campaign, plan_of(campaign, seed=1)

    return make


def test_a_place_is_asked_for_what_its_activities_offer_at_one_time(planned, load_activity):
    day, night = STAGED.format(name="day", first=30, then=5), STAGED.format(name="night", first=5, then=40)
    (one,) = holdings(*planned(day, night), Ground())
    assert (one.planned_per_s, one.asks_per_s, one.ceiling_per_s) == (45.0, 45.0, None)
    assert one.places == {"127.0.0.1:8000"}
    (one,) = holdings(*planned(phases=[("p", day), ("q", load_activity)]), Ground())
    assert one.planned_per_s == 30.0, "phases come one after another"


def test_only_a_ceiling_bounds_a_closed_load_and_tries_bound_retries(planned):
    assert holdings(*planned(CLOSED), Ground())[0].asks_per_s == math.inf
    assert holdings(*planned(CLOSED, ceiling=50.0), Ground())[0].asks_per_s == 50.0
    assert holdings(*planned(RETRYING), Ground())[0].asks_per_s == 30.0
    assert holdings(*planned(RETRYING, ceiling=20.0), Ground())[0].asks_per_s == 20.0


def test_names_of_one_place_are_one_target_with_the_lowest_ceiling(planned, load_activity):
    more = "  same: {protocol: openai-chat, model: m, url: 'http://LOCALHOST:8000/v1', rate_limit: 70/s}\n"
    other = load_activity.replace("name: steady", "name: other").replace("target: chat", "target: same")
    (one,) = holdings(*planned(load_activity, other, ceiling=90.0, more_targets=more), Ground())
    assert one.targets == ("chat", "same")
    assert (one.planned_per_s, one.ceiling_per_s) == (40.0, 70.0)


def test_names_that_lead_to_one_address_are_one_target(planned, load_activity):
    more = "  a: {protocol: openai-chat, model: m, url: 'http://a.test:80'}\n"
    more += "  b: {protocol: openai-chat, model: m, url: 'http://10.0.0.5'}\n"
    loads = [load_activity.replace("steady", f"on-{name}").replace("chat", name, 1) for name in "ab"]
    given = planned(*loads, more_targets=more)
    assert len(holdings(*given, Ground())) == 2
    assert hosts_of(given[0], Ground()) == ("a.test", "10.0.0.5")
    (one,) = holdings(*given, Ground(leads_to={"a.test": ("10.0.0.5",)}))
    assert one.places == {"a.test:80", "10.0.0.5:80"}


def test_a_place_that_only_workers_know_is_compared_as_it_is_written(planned, load_activity):
    more = "  secret: {protocol: openai-chat, model: m, url: '${env:URL}'}\n"
    load = load_activity.replace("target: chat", "target: secret")
    (one,) = holdings(*planned(load, more_targets=more), Ground())
    assert one.places == {"${env:URL}"}


def test_where_a_proxy_leads_is_held_too(planned, load_activity):
    proxy = """\
      - name: slow
        kind: chaos
        fault: tcp-proxy
        at: 5s
        for: 2s
        with: {listen: 9000, upstream: "10.0.0.9:8000", latency: 1s}
        expect: [recovery < 5s]
"""
    places = [one.places for one in holdings(*planned(load_activity, proxy), Ground())]
    assert places == [{"127.0.0.1:8000"}, {"10.0.0.9:8000"}]


def test_what_schedules_leave_of_a_ceiling_goes_to_those_that_may_send_more(planned, load_activity):
    other = CLOSED.replace("name: users", "name: others")
    assert parts(*planned(load_activity, CLOSED, other, ceiling=60.0), Ground()) == {
        "steady": 22.0, "users": 19.0, "others": 19.0,
    }  # fmt: skip
    assert parts(*planned(load_activity, RETRYING, ceiling=60.0), Ground()) == {"steady": 22.0, "again": 38.0}
    assert parts(*planned(load_activity, CLOSED, ceiling=22.0), Ground()) == {"steady": 21.0, "users": 1.0}
    assert parts(*planned(load_activity, ceiling=60.0), Ground()) == {"steady": 60.0}
    assert parts(*planned(load_activity), Ground()) == {}


def test_beside_other_campaigns_none_is_left_more_than_it_has_asked_for(planned, load_activity):
    found = parts(*planned(load_activity, ceiling=60.0, top="share_target: true\n"), Ground())
    assert found == {"steady": pytest.approx(22.0)}


def test_parts_never_come_to_more_than_the_ceiling_whatever_was_planned(planned, load_activity):
    campaign, plan = planned(load_activity, RETRYING, CLOSED, ceiling=15.0)
    found = parts(campaign, plan, Ground())
    assert sum(found.values()) <= 15.0 * (1 + 1e-9)
    assert sum(peak_per_s(one.arrivals) for one in plan.phases[0].activities[:2]) > 15.0


def test_an_operators_limit_refuses_what_offers_more_and_holds_closed_loads(planned, load_activity):
    limited = Ground(limits={"127.0.0.1:8000": 15.0})
    assert refusal(*planned(load_activity), limited) == (
        "up to 20/s are offered to target chat; the operator of this fleet limits http://127.0.0.1:8000 to "
        "15/s over all campaigns"
    )
    assert refusal(*planned(load_activity), Ground(limits={"127.0.0.1:8000": 20.0})) == ""
    assert refusal(*planned(load_activity), Ground(limits={"127.0.0.1:8001": 1.0})) == ""
    assert refusal(*planned(CLOSED), limited) == ""
    assert parts(*planned(CLOSED), limited) == {"users": 15.0}
    (one,) = holdings(*planned(CLOSED, ceiling=50.0), limited)
    assert (one.ceiling_per_s, one.operator) == (15.0, True)


def test_an_operators_limit_finds_a_target_by_the_addresses_of_its_name(planned, load_activity):
    more = "  a: {protocol: openai-chat, model: m, url: 'http://a.test'}\n"
    given = planned(load_activity.replace("target: chat", "target: a"), more_targets=more)
    known = Ground(limits={"10.0.0.5:80": 15.0})
    assert refusal(*given, known) == ""
    resolved = replace(known, leads_to={"a.test": ("10.0.0.5",)})
    assert "limits http://a.test to 15/s" in refusal(*given, resolved)


def test_users_code_and_what_nothing_is_left_for_are_refused_under_an_operators_limit(planned, load_activity):
    limited = Ground(limits={"127.0.0.1:8000": 20.0})
    assert "users of a locustfile (code) cannot be held" in refusal(*planned(CODE), limited)
    assert "nothing is left for users" in refusal(*planned(load_activity, CLOSED), limited)


def test_clients_of_a_fault_have_their_part_of_a_ceiling(planned, load_activity):
    storm = """\
      - name: storm
        kind: chaos
        fault: burst
        at: 5s
        for: 2s
        target: chat
        with: {rate: 25/s}
"""
    given = planned(load_activity, storm, ceiling=60.0)
    (one,) = holdings(*given, Ground())
    assert (one.planned_per_s, one.asks_per_s) == (45.0, 45.0)
    shares = parts(*given, Ground())
    assert shares["storm"] >= 25.0
    assert shares["steady"] >= 20.0
    assert sum(shares.values()) == pytest.approx(60.0)
    limited = Ground(limits={"127.0.0.1:8000": 40.0})
    assert "up to 45/s are offered to target chat" in refusal(*planned(load_activity, storm), limited)
