"""Alerting rules replayed against what a campaign recorded: would they have fired, and when."""
