"""One workload a file (worker, gateway), and what running one takes: supervisor, shutdown, health, probes, logs."""
