"""One seed, one story: a fleet, a few campaigns, misfortune, and what must hold all the while."""

import random
import traceback
from dataclasses import dataclass
from functools import partial

from simulated.campaigns import SHAPES, WEIGHTS, lasts_s_of
from simulated.coordinators import in_place
from simulated.fleet import Fleet
from simulated.misfortune import Misfortune
from simulated.world import BrokenError, World

LONGEST_S = 400.0
"""Bound of every story's time: misfortune lasts 40 s at most, then all campaigns have only to end."""
AFTERWARDS_S = 2.5
"""What comes late is still seen: another leader, a worker that is back."""
HEALED_WITHIN_S = 60.0
"""Longer than any misfortune."""
LOOKS_EVERY_S = 0.25
UNSTEADY = 0.2
"""Share of campaigns whose traffic is not steady when a fault is due."""


@dataclass
class Story:
    """How a seed went. `why`: what did not hold, "" where all did."""

    seed: int
    shapes: tuple
    lasted_s: float
    events: int
    offered: int
    sent: int
    unknown: int
    unsent: int
    successors: int
    misfortunes: tuple
    told: list
    why: str = ""

    def words(self):
        """For people."""
        lines = [f"seed {self.seed}: {', '.join(self.shapes)}; {self.lasted_s:.1f} s, {self.events} events"]
        lines += [f"  {at_s:8.3f}  planned    {words}" for at_s, words in sorted(self.misfortunes)]
        lines += [f"  {at_s:8.3f}  {who:10} {words}" for at_s, who, words in self.told]
        lines.append(
            f"  offered {self.offered}, sent {self.sent}, unknown {self.unknown}, unsent {self.unsent}, "
            f"taken over {self.successors} times"
        )
        if self.why:
            lines.append(f"  BROKEN {self.why}")
        return "\n".join(lines)


def simulate(
    seed, *, traces=False, calm=False, shapes=None, most=None, theme=None, uncertainty_s=None, workers=None
):
    """Live through one seed. `calm`: nothing goes wrong.

    Drawn unless given: `shapes` of its campaigns, `most` misfortunes, the `theme` of these, how many
    `workers`, and the `uncertainty_s` of their clocks.
    """
    world = World(seed, traces=traces)
    dice = random.Random(f"shape {seed}")
    names = sorted(SHAPES)
    if shapes is None:
        weights = [WEIGHTS.get(name, 1) for name in names]
        shapes = tuple(dice.choices(names, weights, k=dice.choice((1, 1, 1, 1, 1, 2))))
    drawn = dice.choice((2, 3, 3, 4))
    drawn_s = dice.choice((0.001, 0.001, 0.01, 0.05))
    fleet = Fleet(
        world,
        workers=drawn if workers is None else workers,
        slots=dice.choice((1, 2, 2, 3)) + (1 if len(shapes) > 1 else 0),
        coordinators=dice.choice((1, 2, 2, 3)),
        replicated=dice.random() < 0.5,
        uncertainty_s=drawn_s if uncertainty_s is None else uncertainty_s,
        messages=(0, 0, 0) if calm else dice.choice(((0, 0, 0), (0, 0, 0), (0.1, 0.1, 0.1))),
    )
    for number, shape in enumerate(shapes):
        id_ = f"sim-{number}"
        world.at(0.5 + number, fleet.submit, id_, SHAPES[shape]())
        fleet.plans.texts[id_] = SHAPES[shape]()
        fleet.verdicts[id_, "first"] = dice.choice(("pass", "pass", "pass", "fail"))
        people = random.Random(f"people {seed} {number}")
        _answer(fleet, id_, people, begins_s=0.5 + number, calm=calm)
        if people.random() < UNSTEADY:
            fleet.unsteady_ids.add(id_)
    most = 0 if calm else dice.choice((2, 3, 4, 7)) if most is None else most
    lasts_s = max(lasts_s_of(text) for text in fleet.plans.texts.values())
    misfortune = Misfortune(fleet, until_s=lasts_s + 2.0 * len(shapes), most=most, theme=theme)
    why = _live(world, fleet)
    numbers = [one for by_activity in fleet.counted.values() for one in by_activity.values()]
    return Story(
        seed=seed,
        shapes=shapes,
        lasted_s=world.now_s,
        events=world.events,
        offered=fleet.watch.offers.total(),
        sent=sum(one.sent for one in numbers),
        unknown=sum(one.unknown for one in numbers),
        unsent=sum(one.unsent for one in numbers),
        successors=sum(len(found) - 1 for found in fleet.watch.engines.values()),
        misfortunes=tuple(misfortune.events),
        told=world.told,
        why=why,
    )


def _answer(fleet, id_, dice, *, begins_s, calm):
    """Where a phase waits for approval somebody says yes in time, or late, no, yes and no, or nothing."""
    if "approvals" in fleet.plans.texts[id_]:
        words = ((True,), (True,), (True,), (False,), (True, False), ())
        for approves in (True,) if calm else dice.choice(words):
            at_s = begins_s + dice.uniform(0.5, 5.0 if calm else 14.0)
            fleet.world.at(at_s, partial(fleet.answer, id_, "second", approves=approves))


def _live(world, fleet):
    """Run it to its end; what did not hold, or empty words."""

    over = []

    def look():
        fleet.watch.looks_at(fleet.server.data)
        if not over and fleet.is_over():
            over.append(True)
        world.after(LOOKS_EVERY_S, look)

    world.after(LOOKS_EVERY_S, look)
    try:
        with in_place(fleet):
            if not world.run(lambda: over, LONGEST_S):
                return f"after {world.now_s:.0f} s a campaign has not ended"
            ended_s = world.now_s
            world.run(lambda: False, ended_s + AFTERWARDS_S)
            world.run(fleet.is_quiet, ended_s + HEALED_WITHIN_S)
            fleet.check_end()
            if world.broken is not None:
                return str(world.broken)
    except BrokenError as broken:
        return str(broken)
    except Exception:  # noqa: BLE001  # a bug anywhere is a broken seed, to be shown with its story
        return traceback.format_exc()
    finally:
        for process in [*fleet.workers.values(), *fleet.coordinators.values(), fleet.people]:
            process.kill()
    return ""
