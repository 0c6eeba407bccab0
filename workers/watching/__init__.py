"""What is looked at once a second while a phase runs: a monitor's alerts, gauges of targets; and silences."""
