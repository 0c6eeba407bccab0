"""What the leader knows of the world beside a campaign's journal, when it decides."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.placement.eligible import ANYTHING_GOES, Rules
from orchestrator.placement.spared import NOTHING, Occupied
from workers.contract import facts as f
from workers.contract.signed.halts import Press


@dataclass(frozen=True, slots=True)
class Seen:
    """What the leader knows beside the journal.

    `fleet`: cards of live workers. `rules`: what every worker must meet. `busy`: engine slots taken by other
    campaigns; `held_by`: worker -> ids of these campaigns; `beside`: what these do on which hosts. `leases`:
    attempt -> common time of its last renewal. `seqs`: attempt -> last snapshot folded without a hole.
    `rows_done`: activity -> golden rows already judged. `breach`: why an `abort_if` holds, or "". `unsteady`:
    why the open phase's faults must not be done, or "". `halted`: the red button, where it ends this
    campaign. `queued`: why it may not begin yet, or "".
    `leading_since_s`: since when leases can be trusted. `server_since_s`: since when they are renewed on the
    server of now; one that is older may have been renewed since, on a server that nobody asks any more.
    `settles_s`: until then engines may work of which the journal has lost that they were told to; 0: none.
    """

    fleet: tuple[f.WorkerCard, ...] = ()
    rules: Rules = ANYTHING_GOES
    busy: Mapping[str, int] = field(default_factory=dict)
    held_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    beside: Occupied = NOTHING
    leases: Mapping[str, float] = field(default_factory=dict)
    seqs: Mapping[str, int] = field(default_factory=dict)
    rows_done: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    breach: str = ""
    unsteady: str = ""
    halted: Press | None = None
    queued: str = ""
    leading_since_s: float = 0.0
    server_since_s: float = 0.0
    settles_s: float = 0.0
