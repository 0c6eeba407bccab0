"""All parts of one simulation together: hosts, workers, coordinators, the server, and their supervisors."""

import msgspec
from simulated.campaigns import CASES, Plans, campaign_of, planned
from simulated.coordinators import Coordinator, Runs, count, phase_result
from simulated.network import Network
from simulated.server import Client, Server
from simulated.watch import Watch
from simulated.worker import Worker
from simulated.world import Host, Process

from orchestrator.coordinator import admission
from workers.contract import facts as f
from workers.contract.broker import names, scripts
from workers.contract.signed.halts import Press, encode_press

SILENT_WITHIN_S = 3.0
ROUND_S = 0.6
"""A round of renewals that began after a moment is over so long after it, where all goes well."""
DECISIONS = (f.Accepted, *admission.DECISIONS)
"""What only the leader may say."""


class Fleet:
    """`replicated`: behind Sentinel. `uncertainty_s`: how wrong a worker's clock may be.

    `messages`: what becomes of tasks on their way: shares of lost, doubled and late ones.
    """

    def __init__(self, world, *, workers, slots, coordinators, replicated, uncertainty_s, messages=(0, 0, 0)):
        self.world = world
        self.server = Server(world)
        self.network = Network(world, self.server)
        self.runs = Runs(world)
        self.plans = Plans()
        world.plans = self.plans
        self.watch = world.watch = Watch(world, self.plans)
        self.replicated, self.uncertainty_s, self.messages = replicated, uncertainty_s, messages
        self.verdicts = {}
        self.unsteady_ids = set()
        self.pressed_s = 0.0
        self.counted = {}
        self.hosts = {}
        self.slots = {}
        self.lives = {}
        self.registers = {}
        self.workers, self.coordinators = {}, {}
        self.server.watchers.append(self._heard)
        for number in range(workers):
            name = f"w{number}"
            self.hosts[name] = Host(world, f"host-{name}")
            self.slots[name] = slots
            self.registers[name] = {}
            self.start_worker(name)
        for number in range(coordinators):
            name = f"c{number}"
            self.hosts[name] = Host(world, f"host-{name}")
            world.after(0.3 * number, self.start_coordinator, name)
        self.people = Process(world, "people", Host(world, "host-people"))

    # parts

    def start_worker(self, name):
        """Another life of a worker, as a supervisor starts it."""
        if name in self.workers and self.workers[name].alive:
            return
        self.lives[name] = self.lives.get(name, 0) + 1
        self.workers[name] = Worker(
            self,
            self.hosts[name],
            name,
            slots=self.slots[name],
            life=self.lives[name],
            register=self.registers[name],
        )
        self.world.tell(name, "starts, life {}", self.lives[name])

    def start_coordinator(self, name):
        """Another life of a coordinator."""
        if name not in self.coordinators or not self.coordinators[name].alive:
            self.coordinators[name] = Coordinator(self, self.hosts[name], name)
            self.world.tell(name, "starts")

    def _heard(self, key, body):
        """Something was added to a stream: whoever reads it need not look again and again."""
        for name, worker in self.workers.items():
            if key == names.control(name):
                self.world.after(0.001, worker.news)
        if not key.endswith(":journal"):
            return
        fact = f.decode_fact(body[b"f"])
        if isinstance(fact, DECISIONS) and not self.server.is_leaders():
            self.world.breaks(f"{self.server.caller.name} decides {fact}, and another leads")
        if self.world.traces:
            words = {
                field: getattr(fact, field)
                for field in fact.__struct_fields__
                if field not in ("text", "signature", "samples_why", "skip_rows") and getattr(fact, field)
            }
            said = " ".join(f"{field}={value}" for field, value in words.items() if field != "at_s")
            self.world.tell("journal", f"{type(fact).__name__} {said}".replace("{", "(").replace("}", ")"))

    def fence_s(self, campaign):
        """`on_lost_coordinator` of a campaign."""
        return planned(self.plans.texts[campaign]).fence_s

    # what coordinators are given

    def send(self, *tasks):
        """Celery, from a coordinator's thread: each message may be lost, come twice or late."""
        lost, twice, late = self.messages
        client = Client(self.network)
        for task in tasks:
            queue, body, chance = (
                names.queue(task.worker),
                msgspec.json.encode(task),
                self.world.dice.random(),
            )
            if chance < lost:
                self.world.tell("celery", "the task {} is lost", task.attempt)
                continue
            client.rpush(queue, body)
            self._came(task.worker)
            if chance < lost + twice:
                client.rpush(queue, body)
            elif chance < lost + twice + late:
                self.world.after(self.world.dice.uniform(1, 20), self._push_late, task.worker, body)

    def _push_late(self, worker, body):
        self.server.data.rpush(names.queue(worker), body)
        self._came(worker)

    def _came(self, name):
        self.world.after(0.001, self.workers[name].news)

    def plan_of(self, campaign):
        """A campaign's plan, made once."""
        return next(planned(text) for text in self.plans.texts.values() if campaign_of(text) is campaign)

    def judge(self, name, *, campaign, plan, state, aggregate, golden):
        """Account for a phase: every leader must come to the same, and the target's log must agree."""
        id_ = state.submitted.campaign
        numbers = count(name, plan=plan, state=state, aggregate=aggregate)
        known = state.phases[name].ended_s is not None
        before = self.counted.get((id_, name))
        if known and before is not None and before != numbers:
            self.world.breaks(f"{name} of {id_} was judged on {before}, and its successor counts {numbers}")
        self.counted[id_, name] = numbers
        return phase_result(name, state, self.verdicts.get((id_, name), "pass"))

    def unsteady(self, campaign, plan, state, aggregate, *, now_s):
        """Why faults are to be withheld: of some campaigns, for a while after the phase's start."""
        name, id_ = state.current_phase(), state.submitted.campaign
        start_s = state.phases[name].start_s if name is not None else None
        if id_ not in self.unsteady_ids or start_s is None or not 0.5 < now_s - start_s < 2.5:
            return ""
        return "the traffic is not steady"

    # people

    def submit(self, campaign, text, *, by="ada"):
        """A campaign, as the command line submits it, from a place whose network is always good."""
        if not self._is_there() or self.server.data.stalled:
            self.world.after(0.5, self.submit, campaign, text)
            return
        self.plans.texts[campaign] = text
        self._say(campaign, "submitted", f.Submitted(
            campaign=campaign, text=text, seed=1, by=by, cases={"golden": CASES},
            files={"golden.jsonl": ("0" * 64, 1)}, at_s=self.server.now_s(),
        ))  # fmt: skip
        self.server.data.zadd(names.CAMPAIGNS, {campaign: self.server.now_s()})
        self.server.data.wait(1, 0)

    def answer(self, campaign, phase, *, approves):
        """A person says yes or no to a phase that waits for that, or will."""
        if self._is_there() and self.server.data.exists(names.journal(campaign)):
            given = {"phase": phase, "by": "ada", "role": "lead", "at_s": self.server.now_s()}
            fact = f.Approved(**given) if approves else f.Denied(**given, why="not today")
            self._say(campaign, f"answer:{phase}", fact)
            self.world.tell("ada", "{} {} of {}", "approves" if approves else "denies", phase, campaign)

    def abort(self, campaign):
        """A person wants it to stop."""
        if self._is_there() and self.server.data.exists(names.journal(campaign)):
            self._say(campaign, "abort", f.AbortAsked(by="bob", why="enough", at_s=self.server.now_s()))
            self.world.tell("bob", "aborts {}", campaign)

    def halt(self):
        """A person presses the red button: who can read it is silent within three seconds, whoever leads."""
        if self._press("halt"):
            self.world.after(SILENT_WITHIN_S, self._check_silence)

    def resume(self):
        """A person says that it is over."""
        self._press("resume")

    def _press(self, button):
        if not self._is_there():
            return False
        self.pressed_s = self.world.now_s
        press = Press(by="eve", why="the pager rings", at_s=self.server.now_s())
        self.server.data.hset(names.HALT, button, encode_press(press))
        self.server.data.wait(1, 0)
        self.world.tell("eve", "presses {}", button)
        return True

    def _check_silence(self):
        """Whose worker could read it all the while has stopped."""
        for engine in self.live_engines():
            worker = engine.attempt.worker
            reached = worker.reached_s is not None and worker.reached_s > self.pressed_s + ROUND_S
            if reached and worker.alive and not engine.stopped and not worker.stopped:
                self.world.breaks(f"{engine.name} works {SILENT_WITHIN_S:g} s after the red button")

    def _is_there(self):
        return self.server.up and not self.server.hung

    def _say(self, campaign, id_, fact):
        keys = [names.journal(campaign), names.fact_ids(campaign), names.INBOX, names.INBOX]
        script = self.server.twin(scripts.FACT)
        script(self.server.data, keys, [id_, f.encode_fact(fact), "", "", campaign])

    # the end

    def is_over(self):
        """Whether every campaign has ended and was let go."""
        data = self.server.data
        finished, live = data.keys.get(names.FINISHED) or {}, data.keys.get(names.CAMPAIGNS) or {}
        if data.emptied and self.server.up and not live:
            return True  # of what is gone for good nobody knows
        return all(id_.encode() in finished for id_ in self.plans.texts)

    def live_engines(self):
        """Engines that are not over; one that hangs (SIGSTOP) among them, silent as it is."""
        found = [engine for engines in self.watch.engines.values() for engine in engines]
        return [engine for engine in found if engine.alive and not engine.over]

    def is_quiet(self):
        """Whether no engine works any more, and no fault lasts of which an emptied server knows nothing."""
        left = self.watch.faults.keys() - self.watch.reverts if self.server.data.emptied else ()
        return not self.live_engines() and not left

    def check_end(self):
        """What must hold once all is over."""
        for engine in self.live_engines():
            self.world.breaks(f"{engine.name} of {engine.task.campaign} works after the end")
        left = self.watch.faults.keys() - self.watch.reverts
        if left:
            self.world.breaks(f"faults are left behind: {sorted(left)}")
        for id_ in self.plans.texts:
            self.watch.check_journal(self.server.data, id_, slots=self.slots)
        self._check_counts()

    def _check_counts(self):
        for (id_, phase), numbers in self.counted.items():
            for activity, one in numbers.items():
                offered = self.watch.offers[id_, activity]
                text = f"{phase} of {id_}, {activity}: {one}, the target's log {offered}"
                if one.sent > offered:
                    self.world.breaks(f"{text}: more is reported than was sent")
                is_open = (id_, activity) in {(key[0], key[1]) for key in self.watch.log}
                if offered > one.sent + one.unknown:
                    self.world.breaks(f"{text}: the log has more than is reported")
                if is_open and one.scheduled != one.sent + one.unsent + one.unknown - one.twice:
                    self.world.breaks(f"{text}: scheduled {one.scheduled} is not the sum of {one}")
