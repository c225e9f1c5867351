"""The agents: wiring between topics, rules and tables."""
