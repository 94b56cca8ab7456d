"""Client and sandbox speak v1 over a socket."""
