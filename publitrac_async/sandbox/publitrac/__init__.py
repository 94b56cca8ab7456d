"""The emulated PUBLITRAC account: what v1 and v2 both read and write."""
