"""Sinks: destinations of rows, a module for each vendor. `bulk/sinks/base.py` has the interface."""
