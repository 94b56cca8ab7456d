"""The vendor's samples, and tests that hold the client against them."""
