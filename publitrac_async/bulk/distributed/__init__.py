"""Runs on several hosts: chunks of rows, a queue of chunks, and workers."""
