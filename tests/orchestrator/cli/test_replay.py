"""`replay` of a run that a fleet keeps; what it sends is tested end to end."""

from workers.contract import facts as f

CAMPAIGN = """
campaign: kept
targets: {chat: {protocol: openai-chat, model: m, url: "http://127.0.0.1:9"}}
phases:
  - name: only
    activities:
      - {name: steady, kind: load, target: chat, duration: 2s, arrivals: {process: constant, rate: 10/s},
         data: {synthetic: {input_tokens: 4, output_tokens: 2}}}
"""


def test_a_runs_results_are_fetched_by_its_id(at_fleet, ended):
    said = f.encode_fact(f.Submitted(campaign="c-1", text=CAMPAIGN))
    ended("c-1", report_json=b"{}", journal_jsonl=said, campaign_yaml=CAMPAIGN)
    done = at_fleet("replay", "c-1", "--request", "calm/1/1")
    assert done.exit_code == 2
    assert "the run has no activity 'calm' with requests; it has steady" in done.stderr


def test_an_id_that_nobody_knows_is_said_with_the_nearest(at_fleet, ended):
    ended("c-1", report_json=b"{}")
    done = at_fleet("replay", "c-2", "--request", "calm/1/1")
    assert done.exit_code == 2
    assert "c-1" in done.stderr
    done = at_fleet("replay", "c-2", "--request", "calm/1/1", broker="")
    assert done.exit_code == 2
    assert "there is no folder c-2, nor runs/c-2; for a fleet's say --broker" in done.stderr
    done = at_fleet("replay", "./nowhere", "--request", "calm/1/1")
    assert done.exit_code == 2
    assert "there is no folder ./nowhere" in done.stderr
