"""What those who watch a campaign are shown, as it stands in Redis: shapes alone, quick to load."""

from typing import Literal

import msgspec

from workers.contract.decoding import guarded


class LiveSlo(msgspec.Struct, frozen=True):
    """One SLO so far; `seen`: the observed value with its unit, empty where there is none yet."""

    slo: str
    verdict: Literal["pass", "fail", "inconclusive", "invalid"]
    seen: str


class LiveActivity(msgspec.Struct, frozen=True):
    """One activity now.

    `share`: of its schedule or cases, 0..1; `state`: waiting, running, over, ...; times in s.
    """

    key: str
    kind: str
    state: str
    share: float
    shards: int
    sent: int
    ok: int
    failed: int
    rate_per_s: float
    p50_s: float | None
    p99_s: float | None
    note: str = ""
    slos: tuple[LiveSlo, ...] = ()


class LiveView(msgspec.Struct, frozen=True):
    """One campaign now. `waits`: what keeps shards from a place, in words."""

    campaign: str
    at_s: float
    phase: str
    phase_number: int
    phases: int
    elapsed_s: float
    activities: tuple[LiveActivity, ...]
    verdicts: dict[str, str]
    aborting: str = ""
    verdict: str = ""
    waits: tuple[str, ...] = ()


encode_live = msgspec.json.Encoder().encode
decode_live = guarded(msgspec.json.Decoder(LiveView).decode)
