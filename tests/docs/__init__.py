"""Tests of the documentation: every Python snippet runs."""
