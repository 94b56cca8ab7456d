"""Sharing through Redis or Valkey (extra ``redis``), for several hosts."""
