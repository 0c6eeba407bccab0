"""Whether clients may go, by the target, its ceiling and the allow-list: all before anything is sent."""

import pytest

from workers.chaos.clients import admission
from workers.contract.errors import FaultError


@pytest.mark.parametrize(
    ("per_s", "at_once", "words"),
    [
        (5.5, 1, "would send target chat 5.5/s; the target's rate_limit leaves it 5/s"),
        (0.0, 51, "would open 51 at once on target chat; .* leaves it 5/s, so 50 at once"),
    ],
)
def test_more_than_a_ceiling_leaves_is_refused(make_aim, per_s, at_once, words):
    aim = make_aim("http://127.0.0.1:9", per_s=5.0, whose="the target's rate_limit")
    with pytest.raises(FaultError, match=words):
        admission.check_ceiling("burst", aim, per_s=per_s, at_once=at_once)
    admission.check_ceiling("burst", aim, per_s=5.0, at_once=50)


def test_the_smallest_ceiling_leaves_room_for_one_at_a_time(make_aim):
    aim = make_aim("http://127.0.0.1:9", per_s=0.05)
    admission.check_ceiling("malformed", aim, per_s=0.05, at_once=1)


@pytest.mark.parametrize(
    ("protocol", "options", "streams"),
    [
        ("openai-chat", {}, True),
        ("openai-chat", {"stream": False}, False),
        ("openai-embeddings", {}, False),
        ("kserve-v2", {}, False),
    ],
)
def test_who_leaves_in_the_middle_of_a_stream_needs_one(make_aim, protocol, options, streams):
    aim = make_aim("http://127.0.0.1:9", protocol=protocol)
    aim.options.update(options)
    if streams:
        admission.check_streams("disconnect-mid-stream", aim)
        return
    with pytest.raises(FaultError, match=rf"target chat \({protocol}\) sends its answers whole"):
        admission.check_streams("disconnect-mid-stream", aim)


@pytest.mark.parametrize("protocol", ["json-http", "kserve-v2", "kserve-v2-grpc", "tf-serving"])
def test_prompts_are_for_targets_that_take_some(make_aim, protocol):
    with pytest.raises(FaultError, match=f"takes prompts; chat is {protocol}"):
        admission.check_prompts("oversize-prompt", make_aim("http://127.0.0.1:9", protocol=protocol))


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:9", True),
        ("http://[::1]:9", True),
        ("https://192.0.2.7", True),
        ("http://192.0.2.7", False),
        ("http://name.test", True),
    ],
)
def test_an_address_is_judged_with_its_port_and_a_name_where_it_leads_to(make_aim, url, allowed):
    if allowed:
        admission.check_address(make_aim(url), allow_targets=["192.0.2.7:443"])
        return
    with pytest.raises(FaultError, match="is not on this worker's allow-list"):
        admission.check_address(make_aim(url), allow_targets=["192.0.2.7:443"])
