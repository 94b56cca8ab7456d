"""Client and sandbox exchange v1 calls over a socket."""
