"""The words: every Python snippet runs."""
