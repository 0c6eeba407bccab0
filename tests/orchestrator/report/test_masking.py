from orchestrator.campaign.load import load_campaign_text
from orchestrator.report.masking import masked_set, masked_text

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
