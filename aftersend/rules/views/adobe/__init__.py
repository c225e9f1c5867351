"""Adobe Campaign's views."""
