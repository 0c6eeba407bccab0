"""What `doctor` looks at: broker, fleet and this host, each as a list of findings."""
