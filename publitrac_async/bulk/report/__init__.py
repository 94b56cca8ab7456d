"""Report of a run: its model, its files, its page."""
