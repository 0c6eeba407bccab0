"""Attempts on this worker: claimed, readied, seen through, and told as facts, whatever became of them."""
