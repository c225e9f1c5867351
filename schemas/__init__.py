"""Data contracts: canonical events, public state, topic names, bit layouts. Imports nothing else of Aftersend."""
