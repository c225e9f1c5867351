"""Mail transfer agents, one folder each."""
