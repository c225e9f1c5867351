"""What operators and programs ask for, as functions: no printing, no HTTP."""
