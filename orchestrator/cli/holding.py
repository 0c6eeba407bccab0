"""Facts about hidden faults on their way to whoever watches: held back until they are over or revealed."""

from dataclasses import dataclass, field
from typing import Final

from orchestrator.campaign.load import load_campaign_text
from orchestrator.errors import ShakeoutError
from orchestrator.gameday.hidden import hidden_keys, said_of
from workers.contract import facts as f

MOST_HELD: Final = 10_000
"""A fault says a handful."""


@dataclass(slots=True)
class Holding:
    """`hidden`: key -> name of the activities that are not shown; `held`: what was said of them meanwhile."""

    hidden: dict[str, str] = field(default_factory=dict)
    held: list[f.Fact] = field(default_factory=list)

    def hear(self, fact: f.Fact) -> list[f.Fact]:
        """What may be told now that this fact came, in order."""
        match fact:
            case f.Submitted(text=text, sets=sets):
                self.hidden = _hidden(text, sets)
            case f.Ended():
                return [*self._release(*self.hidden), fact]
            case f.Revealed(activity=activity):
                keys = [key for key, name in self.hidden.items() if activity in (key, name)]
                return [fact, *self._release(*keys)]
            case f.Exited(attempt=attempt) | f.Lost(attempt=attempt):
                return [*self._release(attempt.rsplit(":", 2)[0]), fact]
            case _ if said_of(fact, frozenset(self.hidden)):
                self.held = [*self.held[-MOST_HELD:], fact]
                return []
            case _:
                pass
        return [fact]

    def _release(self, *keys: str) -> list[f.Fact]:
        """Show these activities from now on; what was held back of them."""
        mine = frozenset(key for key in keys if key in self.hidden)
        told = [one for one in self.held if said_of(one, mine)]
        self.held = [one for one in self.held if not said_of(one, mine)]
        for key in mine:
            del self.hidden[key]
        return told


def _hidden(text: str, sets: tuple[str, ...]) -> dict[str, str]:
    """Of a campaign as it was submitted; nothing of one that this version cannot read."""
    try:
        return hidden_keys(load_campaign_text(text, base=None, sets=sets).campaign)
    except ShakeoutError:
        return {}
