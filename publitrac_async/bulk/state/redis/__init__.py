"""The state store in Redis or Valkey, shared by several hosts."""
