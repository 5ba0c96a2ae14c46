"""One module for each command; each has `run(command, arguments, terminal) -> exit status`."""
