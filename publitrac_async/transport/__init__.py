"""The one way to the wire: deadline, gate, rate limit, auth, send, classify, retry."""
