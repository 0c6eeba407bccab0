"""Snapshots -> time series and totals: folding, accounting, evidence, parts on disk."""
