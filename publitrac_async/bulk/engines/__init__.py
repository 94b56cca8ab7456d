"""Engines: what brings the rows of a run to their sink."""
