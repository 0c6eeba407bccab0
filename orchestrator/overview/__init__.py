"""What is going on in a fleet, for people and scripts: read from Redis, and put into shapes."""
