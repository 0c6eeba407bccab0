"""Samples on their way from this worker's disk to the runs URL."""
