"""Runs on several hosts: chunks of rows, their queue, their workers."""
