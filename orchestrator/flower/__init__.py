"""Flower over a fleet: its settings, its login, its page of tasks, and where people find it."""
