"""One module a command; imported when the command is called (`aftersend.cli.main`)."""
