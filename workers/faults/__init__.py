"""What surrounds a campaign's faults on this host: whether one may come here, its aim, its proxies."""
