"""Command line (extra `cli`). No other package imports this one."""
