"""What travels: canonical events, public state, topic names. Each declared once; imports nothing of ours."""
