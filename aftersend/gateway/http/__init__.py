"""HTTP of the gateway: bounded connections, answers, access log."""
