"""The state of one recipient of one delivery: statuses, the fold, the event history, timing."""
