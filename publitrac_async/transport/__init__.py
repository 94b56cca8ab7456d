"""Send calls: deadline, gate, rate limit, credentials, request, response, retry."""
