"""Where a reference to a secret may stand in a campaign file, and where it would be shown."""

import pytest

from orchestrator.campaign.composing import parts_of
from orchestrator.campaign.load import load_campaign_text
from orchestrator.errors import CampaignFileError

OWN = """\
      - name: own
        kind: chaos
        fault: command
        for: 2s
        with:
          inject: [break, {word}]
          verify: [is-broken]
          revert: [mend]
          env: {{TOKEN: "${{env:TOKEN}}", PRICE: "$${{5}}"}}
"""


def test_variables_of_a_fault_may_refer_to_secrets(small):
    campaign = load_campaign_text(small + OWN.format(word="now")).campaign
    (part,) = parts_of(campaign.phases[0].activities[1])
    assert part.options["env"] == {"TOKEN": "${env:TOKEN}", "PRICE": "$${5}"}, "the worker reads both"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ('"${env:TOKEN}"', "stands only in url, headers, tls, announce (of a fault: env, headers, body)"),
        ('"${TOKEN}"', "stands only in url"),
    ],
)
def test_words_of_a_command_may_not(small, word, said):
    with pytest.raises(CampaignFileError) as caught:
        load_campaign_text(small + OWN.format(word=word))
    assert said in str(caught.value)
    assert "activities[1].with.inject[1]" in str(caught.value)
