"""Every example, run as its reader would run it."""
