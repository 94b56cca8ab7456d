"""The vendor's samples, and tests that compare the client with them."""
