"""The tests of publitrac_async."""
