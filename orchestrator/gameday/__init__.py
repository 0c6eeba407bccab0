"""Game days: when faults may run and by whose leave, what people do meanwhile, and what came of it. Pure."""
