"""A target to try a campaign on: words repeated at exact times, and a log of what it received and sent."""
