"""A worker's place in the fleet: its lease and card, the leader's orders, its way to Redis, its leaving."""
