from orchestrator.campaign.load import load_campaign_text
from orchestrator.report.masking import MASK, masked_set, masked_text

TEXT = """\
campaign: one
targets:
  chat:
    url: http://chat.internal:8000/?api_key=k3y&x=1
    protocol: json-http
    headers:
      Authorization: "Bearer a-long-s3cret"
      X-Flag: "1"
      X-Team: "${env:TEAM}"
phases:
  - name: p
    activities:
      - name: a
        kind: load
        target: chat
        arrivals: {process: constant, rate: 10/s}
        duration: 1s
        data: a.jsonl
"""


def test_header_values_and_passwords_in_urls_are_masked_and_nothing_else():
    masked = masked_text(TEXT, load_campaign_text(TEXT).campaign)
    assert "a-long-s3cret" not in masked
    assert "k3y" not in masked
    assert 'X-Flag: "[masked]"' in masked
    assert "rate: 10/s}\n        duration: 1s" in masked
    assert "${env:TEAM}" in masked


def test_a_header_set_by_hand_is_masked_and_a_reference_stays():
    campaign = load_campaign_text(TEXT).campaign
    assert masked_set("targets.chat.headers.X-Key=hush", campaign) == "targets.chat.headers.X-Key=[masked]"
    kept = "targets.chat.headers.X-Key=${env:KEY}"
    assert masked_set(kept, campaign) == kept
    assert masked_set("targets.chat.url=http://me:pw@there", campaign).endswith("http://[masked]@there")


def test_what_a_fault_gives_to_commands_and_calls_is_masked():
    text = (
        TEXT
        + """\
      - name: own
        kind: chaos
        fault: http
        for: 200ms
        with:
          inject: {method: PUT, url: "http://mesh/x", headers: {authorization: "Bearer an0ther-s3cret"}}
          verify: {method: GET, url: "http://mesh/x", headers: {authorization: "${env:MESH}"}}
          revert: {method: DELETE, url: "http://mesh/x"}
"""
    )
    masked = masked_text(text, load_campaign_text(text).campaign)
    assert "an0ther-s3cret" not in masked
    assert "${env:MESH}" in masked
    assert "method: DELETE" in masked


def test_a_webhook_that_stands_in_the_file_keeps_its_path_to_itself(campaign_of, text_of, load_activity):
    top = "gameday: {announce: https://hooks.example.com/services/T00/B00/xyzzy}\n"
    text = text_of(("only", load_activity), top=top)
    shown = masked_text(text, campaign_of(("only", load_activity), top=top))
    assert "xyzzy" not in shown
    assert f"https://hooks.example.com/{MASK}" in shown


def test_a_webhook_by_reference_stays_as_it_is(campaign_of, text_of, load_activity):
    top = "gameday: {announce: 'https://hooks.example.com/services/${env:HOOK}'}\n"
    text = text_of(("only", load_activity), top=top)
    assert masked_text(text, campaign_of(("only", load_activity), top=top)) == text
