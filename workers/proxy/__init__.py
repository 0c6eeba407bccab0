"""A TCP proxy of our own, a process: it passes everything through, but for what a fault makes of it."""
