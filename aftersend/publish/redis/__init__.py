"""KPIs in Redis: the publisher and the reader."""
