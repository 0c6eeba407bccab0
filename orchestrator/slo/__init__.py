"""Service level objectives: what an expression says, and how it is judged."""
