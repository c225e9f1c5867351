"""HTTP of the gateway: answers, access log."""
