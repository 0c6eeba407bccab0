"""What one engine can do on this host: a bare server, a climbing rate, the step at which it was late."""
