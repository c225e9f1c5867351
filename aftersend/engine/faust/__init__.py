"""Faust with a transport, a recovery and an app of our own."""
