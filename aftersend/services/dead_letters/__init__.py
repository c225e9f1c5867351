"""Dead letters: unreadable records, and their replay."""
