"""What a phase's claims need to be watched, silences, and what is wrong or unwise about them."""

import pytest

from orchestrator.campaign.load import load_campaign_text
from orchestrator.campaign.watched import needs_of
from orchestrator.errors import CampaignFileError
from orchestrator.slo.watched import gauge_name
from orchestrator.watch_specs import watch_spec

CAMPAIGN = """\
campaign: c
TOPtargets:
  chat: {protocol: openai-chat, model: m, url: http://u:8000, headers: {A: b}, metrics: http://u:8000/metrics}
  side: {protocol: openai-chat, model: m, url: http://s:8000, headers: {A: b}, metrics: http://m:9/metrics}
  bare: {protocol: openai-chat, model: m, url: http://v:8000}
  alerts: {prometheus: http://p:9090, alertmanager: http://a:9093, headers: {X: "${env:SCOPE}"}}
phases:
  - name: p
    activities:
LOAD one chat alert(Own) never fires
LOAD two side success_rate >= 99%
LOAD three bare success_rate >= 99%
      - name: hang
        kind: chaos
        fault: pause-process
        match: {port: 8000}
        at: 20s
        for: 5s
        expect:
          - alert(Down) fires within 30s
          - alert(Down) resolves within 30s
          - metric(q:len{pod="x"}) returns within 10s
"""
LOAD = """\
      - name: {}
        kind: load
        target: {}
        arrivals: {{process: constant, rate: 1/s}}
        duration: 60s
        data: {{synthetic: {{input_tokens: 1, output_tokens: 1}}}}
        slos: ["{}"]
"""


def campaign_with(top="", **changes):
    lines = CAMPAIGN.replace("TOP", top).splitlines(keepends=True)
    loads = (line.removeprefix("LOAD ").strip().split(" ", 2) for line in lines if line.startswith("LOAD "))
    text = "".join(LOAD.format(*next(loads)) if line.startswith("LOAD ") else line for line in lines)
    for old, new in changes.items():
        text = text.replace(old, new)
    return load_campaign_text(text)


def test_each_alert_is_watched_once_and_gauges_on_every_observed_target_that_shows_any():
    campaign = campaign_with(top="slos: [alert(Every) never fires]\n").campaign
    needs = needs_of(campaign.phases[0], campaign)
    assert needs.alerts == ("Own", "Every", "Down")
    assert [gauge_name(*one) for one in needs.gauges] == ['chat q:len{pod="x"}', 'side q:len{pod="x"}']
    assert not needs.silences


def test_credentials_of_a_target_are_shown_to_its_own_page_of_metrics_alone():
    campaign = campaign_with().campaign
    spec = watch_spec(campaign.phases[0], campaign, run="c-1", files={}, urls={})
    assert {one.target: dict(one.headers) for one in spec.gauges} == {"chat": {"A": "b"}, "side": {}}
    assert spec.monitor.headers == {"X": "${env:SCOPE}"}
    assert spec.activity == "p/@watch"


def test_silences_last_from_the_first_fault_past_the_end_of_the_traffic():
    top = "gameday:\n  silence: [Down, {alert: Slow, matchers: ['team=~\"a|b\"', severity!=info]}]\n"
    campaign = campaign_with(top=top).campaign
    spec = watch_spec(campaign.phases[0], campaign, run="c-1", files={}, urls={})
    assert [(one.from_s, one.until_s) for one in spec.silences] == [(20.0, 120.0)] * 2
    assert [one.matchers for one in spec.silences] == [
        (("alertname", "=", "Down"),),
        (("alertname", "=", "Slow"), ("team", "=~", "a|b"), ("severity", "!=", "info")),
    ]


@pytest.mark.parametrize(
    ("silence", "why"),
    [
        ("[{}]", "keeps nothing quiet"),
        ("[{matchers: [nonsense]}]", "'nonsense' is no matcher"),
        ("[{matchers: ['a=~\"(\"']}]", "is no regular expression"),
        ("[{matchers: ['a=\"\"']}]", "is no matcher"),
        ("[{alert: A, until: 5m}]", "until"),
    ],
)
def test_a_silence_that_cannot_be_made_is_an_error_where_it_stands(silence, why):
    with pytest.raises(CampaignFileError, match=r"gameday\.silence") as error:
        campaign_with(top=f"gameday: {{silence: {silence}}}\n")
    assert why in str(error.value)


def test_a_silence_without_an_alertmanager_is_an_error():
    with pytest.raises(CampaignFileError, match="no target is an Alertmanager"):
        campaign_with(top="gameday: {silence: [Down]}\n", **{", alertmanager: http://a:9093": ""})


def test_a_claim_that_may_take_longer_than_the_traffic_lasts_is_worth_a_warning():
    assert not [one for one in campaign_with().warnings if "may take until" in str(one)]
    short = campaign_with(**{"fires within 30s": "fires within 50s"})
    (warning,) = [one for one in short.warnings if "may take until" in str(one)]
    assert "may take until 70s, the phase's traffic ends at 60s" in str(warning)
