"""Tests of v1 without a network."""
