"""One request of a run, to be sent once more: what `shakeout replay` hands to `python -m workers.replay`."""

import msgspec

from workers.contract.spec import LoadSpec, RegressionSpec


class Recorded(msgspec.Struct, frozen=True):
    """What the run says of the request; times in seconds, absent where it did not keep them."""

    outcome: str
    intended_s: float
    trace_id: str = ""
    status: int | None = None
    latency_s: float | None = None
    service_time_s: float | None = None
    ttft_s: float | None = None
    why: str = ""


class ReplayOrder(msgspec.Struct, frozen=True):
    """Send what arrival `index` of the activity is.

    `request_id`: as the run had it. `files`: sha256 -> local path. `notes`: what to say before anything else.
    `json`: print one JSON object instead of words for people.
    """

    campaign: str
    request_id: str
    activity: str
    index: int
    spec: LoadSpec | RegressionSpec
    files: dict[str, str]
    allow_targets: tuple[str, ...]
    recorded: Recorded | None = None
    notes: tuple[str, ...] = ()
    json: bool = False


decode_order = msgspec.json.Decoder(ReplayOrder).decode
encode_order = msgspec.json.Encoder().encode
