"""What clients that try again, or talk in several turns, did: their counts added up. Pure."""

from collections.abc import Mapping
from typing import TypeVar

from workers.contract.snapshot import RetryCounts, SessionCounts

Key = TypeVar("Key", int, str)


def with_retries(left: RetryCounts | None, right: RetryCounts | None) -> RetryCounts | None:
    """Both added; None where neither has any."""
    if left is None or right is None:
        return left or right
    return RetryCounts(
        tries=_added(left.tries, right.tries),
        tried_again=_added(left.tried_again, right.tried_again),
        not_again=_added(left.not_again, right.not_again),
        written=left.written + right.written,
        opened=left.opened + right.opened,
        held_back=left.held_back + right.held_back,
    )


def with_sessions(left: SessionCounts | None, right: SessionCounts | None) -> SessionCounts | None:
    """Both added, but for what stands for itself in each attempt; None where neither has any."""
    if left is None or right is None:
        return left or right
    return SessionCounts(
        begun=left.begun + right.begun,
        whole=left.whole + right.whole,
        broken=_added(left.broken, right.broken),
        over=left.over + right.over,
    )


def _added(left: Mapping[Key, int], right: Mapping[Key, int]) -> dict[Key, int]:
    total = dict(left)
    for key, count in right.items():
        total[key] = total.get(key, 0) + count
    return total
