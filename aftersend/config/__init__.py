"""Settings of an installation, one section a file, and their meaning for sources and topics."""
