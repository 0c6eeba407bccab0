"""How an activity's clients behave, as its spec says it to the engines. Pure."""

from typing import Final

from orchestrator.campaign import clients
from workers.contract import behaviour

MOST_TURN_GROUPS: Final = 20
"""Turns that are told of one by one in every report; later ones only where an objective names them."""


def retries_of(model: clients.Retries | None, *, timeout_s: float) -> behaviour.Retries | None:
    """The policy; without `within` no try begins later than the target's timeout after the first.

    Where timeouts are tried again that would leave none of them another try, so each try has one.
    """
    if model is None:
        return None
    usual_s = timeout_s * model.attempts if "timeout" in model.on else timeout_s
    breaker = None
    if model.breaker is not None:
        given = model.breaker
        breaker = behaviour.Breaker(given.failures, window_s=given.window, open_for_s=given.open_for)
    return behaviour.Retries(
        on=model.on,
        attempts=model.attempts,
        backoff_s=model.backoff,
        max_backoff_s=model.max_backoff,
        jitter=model.jitter,
        within_s=usual_s if model.within is None else model.within,
        budget=model.budget,
        breaker=breaker,
        retry_after=model.retry_after,
    )


def sessions_of(model: clients.Sessions | None) -> behaviour.Sessions | None:
    """The conversations."""
    return None if model is None else behaviour.Sessions(model.turns, model.think)


def turn_groups(model: clients.Sessions | None) -> tuple[tuple[str, str], ...]:
    """Each turn is a group of its own, so that `for turn=2` is exact and a report tells them apart."""
    turns = 0 if model is None else min(model.turns, MOST_TURN_GROUPS)
    return tuple(("turn", str(turn + 1)) for turn in range(turns))
