"""Campaigns to simulate: small ones of every kind, and what their shards have to do."""

from functools import lru_cache

import numpy as np

from orchestrator.campaign.load import load_campaign_text
from orchestrator.plan import plan_of
from workers.contract.schedule import ClosedArrivals, OpenArrivals, shard_blocks
from workers.contract.spec import is_watch

TARGETS = """\
targets:
  chat: {protocol: openai-chat, model: m, url: http://127.0.0.1:8000}
"""
MONITOR = "  alerts: {prometheus: 'http://127.0.0.1:9090'}\n"
GATED = "gameday: {roles: {lead: ada@example.org}, approvals: {second: {by: lead, within: 6s}}}\n"
DATA = "data: {synthetic: {input_tokens: 8, output_tokens: 8}}"
CASES = 12
CASE_EVERY_S = 0.2
SERVICE_S = 0.1


def load(name, *, rate=4, lasts_s=8, shards=2, kind="load", process="constant", slos="success_rate >= 50%"):
    """An open-loop load."""
    return (
        f"      - {{name: {name}, kind: {kind}, target: chat, shards: {shards}, duration: {lasts_s}s, "
        f"arrivals: {{process: {process}, rate: {rate}/s}}, {DATA}, slos: [{slos}]}}\n"
    )


def closed(name, *, users=3, lasts_s=8, shards=2):
    """A closed loop."""
    return (
        f"      - {{name: {name}, kind: load, target: chat, shards: {shards}, duration: {lasts_s}s, "
        f"arrivals: {{process: closed, users: {users}, think: 400ms}}, {DATA}, "
        "slos: [success_rate >= 50%]}\n"
    )


def chaos(name, *, at_s=2, for_s=2):
    """A held fault."""
    return (
        f"      - {{name: {name}, kind: chaos, fault: pause-process, at: {at_s}s, for: {for_s}s, "
        "match: {port: 8000}, expect: [recovery < 5s]}\n"
    )


def proxied(name, *, at_s=2, for_s=2, load="steady"):
    """A fault of a proxy, which has to stand before any phase begins."""
    return (
        f"      - {{name: {name}, kind: chaos, fault: tcp-proxy, at: {at_s}s, for: {for_s}s, "
        "where: {at_most: 1}, with: {listen: 9000, upstream: 'store:6379', latency: 200ms}, "
        f"observe: [{load}]}}\n"
    )


def regression(name, *, batches=2):
    """Golden cases."""
    return (
        f"      - {{name: {name}, kind: regression, target: chat, golden: golden.jsonl, batches: {batches}, "
        "compare: {text: {exact: {}}}, slos: [pass_rate >= 50%]}\n"
    )


def text_of(*phases, fence_s=3, within_s=25, top="", more_targets=""):
    """A campaign file of phases: (name, activities) or (name, activities, required)."""
    text = f"campaign: sim\nseed: 1\non_lost_coordinator: {fence_s}s\nplace_within: {within_s}s\n"
    text += f"{top}{TARGETS}{more_targets}phases:\n"
    for name, activities, *required in phases:
        text += f"  - name: {name}\n"
        text += f"    requires: [{', '.join(required)}]\n" if required else ""
        text += f"    activities:\n{activities}"
    return text


SHAPES = {
    "load": lambda: text_of(("only", load("steady", rate=2, lasts_s=14)), fence_s=5),
    "load-1": lambda: text_of(("only", load("steady", lasts_s=12, shards=1)), fence_s=4),
    "load-3": lambda: text_of(("only", load("steady", rate=3, lasts_s=13, shards=3)), fence_s=5),
    "short": lambda: text_of(("only", load("steady", rate=3, lasts_s=5, shards=1)), fence_s=2),
    "poisson": lambda: text_of(("only", load("steady", process="poisson", rate=3, lasts_s=12)), fence_s=4),
    "long-fence": lambda: text_of(("only", load("steady", rate=2, lasts_s=22)), fence_s=10),
    "soak": lambda: text_of(("only", load("steady", kind="soak", rate=1, lasts_s=20)), fence_s=6),
    "closed": lambda: text_of(("only", closed("loop", lasts_s=12)), fence_s=5),
    "chaos": lambda: text_of(("only", load("steady", rate=2, lasts_s=9) + chaos("hang", at_s=3)), fence_s=4),
    "regression": lambda: text_of(("only", regression("golden")), fence_s=4),
    "two-phases": lambda: text_of(
        ("first", load("warm", lasts_s=4)), ("second", load("steady", rate=2, lasts_s=8), "first"), fence_s=4
    ),
    "gated": lambda: text_of(
        ("first", load("warm", lasts_s=3)),
        ("second", load("steady", rate=2, lasts_s=8, shards=1) + chaos("hang", at_s=3), "first"),
        fence_s=4,
        top=GATED,
    ),
    "watched": lambda: text_of(
        ("only", load("steady", rate=2, lasts_s=9, slos="'alert(Down) never fires'")),
        fence_s=4,
        more_targets=MONITOR,
    ),
    "proxied": lambda: text_of(
        ("first", load("warm", lasts_s=4)),
        ("second", load("steady", rate=2, lasts_s=7) + proxied("slow")),
        fence_s=4,
    ),
    "mixed": lambda: text_of(
        ("first", load("steady", lasts_s=8, rate=2, shards=1) + closed("loop", shards=1, lasts_s=6)),
        (
            "second",
            regression("golden", batches=1)
            + load("side", lasts_s=4, shards=1)
            + chaos("hang", at_s=1, for_s=1),
            "first",
        ),
        fence_s=3,
    ),
}
WEIGHTS = {"load": 6, "load-1": 6, "load-3": 4, "chaos": 2, "two-phases": 2}


@lru_cache(maxsize=64)
def campaign_of(text):
    """A checked campaign."""
    return load_campaign_text(text).campaign


@lru_cache(maxsize=64)
def planned(text):
    """A planned campaign; all seeds share its arrivals."""
    return plan_of(campaign_of(text), seed=1)


def lasts_s_of(text):
    """How long a campaign takes where nothing goes wrong, about."""
    return 2.0 + sum(max(2.0, phase.duration_s) for phase in planned(text).phases)


@lru_cache(maxsize=1024)
def own_arrivals(text, activity, shard, of):
    """A shard's arrivals: (index, intended second)."""
    arrivals = planned(text).activity(activity).arrivals
    return [
        (int(index), int(at_ns) / 1e9)
        for block in shard_blocks(arrivals, shard=shard, of=of)
        for index, at_ns in zip(block.indices, block.times_ns, strict=True)
    ]


class Plans:
    """What the activities of the campaigns of one simulation have to do; `texts`: id -> campaign file."""

    def __init__(self):
        self.texts = {}

    def activity(self, task):
        """The plan of a task's activity."""
        return planned(self.texts[task.campaign]).activity(task.activity)

    def needs_engine(self, activity):
        """Whether an activity of this name takes a slot."""
        return activity not in ("hang", "slow") and not is_watch(activity)

    def is_open(self, task):
        """Whether its arrivals have indices that nobody may offer twice."""
        return isinstance(self.activity(task).arrivals, OpenArrivals)

    def has_arrivals(self, task, from_s, until_s):
        """Whether anything of a shard is intended in a span; of work without a schedule always."""
        if not self.is_open(task):
            return True
        own = own_arrivals(self.texts[task.campaign], task.activity, task.shard, task.of)
        return any(from_s <= at_s < until_s for _, at_s in own)

    def work(self, task):
        """From_s -> what a shard has to do from there on."""
        activity, text = self.activity(task), self.texts[task.campaign]
        if isinstance(activity.arrivals, OpenArrivals):
            own = own_arrivals(text, task.activity, task.shard, task.of)
            return lambda from_s: [pair for pair in own if pair[1] >= from_s]
        if isinstance(activity.arrivals, ClosedArrivals):
            return lambda from_s: self._loops(activity.arrivals, task, from_s)
        rows = [row for row in range(CASES) if row % task.of == task.shard and row not in task.skip_rows]
        return lambda from_s: [(row, from_s + CASE_EVERY_S * place) for place, row in enumerate(rows)]

    @staticmethod
    def _loops(arrivals, task, from_s):
        users = len(range(task.shard, arrivals.users, task.of))
        every_s = (arrivals.think_s + SERVICE_S) / max(1, users)
        times = np.arange(from_s, arrivals.duration_s, every_s) if users else []
        return [(task.shard + place * task.of, float(at_s)) for place, at_s in enumerate(times)]
