"""The consumer group: who gets which partition, and whether this worker is still a member."""
