"""Chaos Toolkit's experiments, read and carried over into a campaign; nothing of it is needed to run one."""
