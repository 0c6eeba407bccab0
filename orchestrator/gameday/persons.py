"""Persons in words: who said something and what proves it, who holds a role."""


def said_by(by: str, key: str) -> str:
    """Who said it, and whose key it was; `key`: "" where the fleet has none."""
    return f"{by} (key {key})" if key else by


def holder(role: str, address: str) -> str:
    """A role with its address, "" where it has none."""
    return f"{role} ({address})" if address else role
