"""The agents: thin, they wire rules and tables to topics."""
