"""The command line: what all commands share, and the flags of each."""
