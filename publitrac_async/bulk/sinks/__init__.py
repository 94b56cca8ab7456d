"""Sinks: destinations of rows."""
