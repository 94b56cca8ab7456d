"""The emulated PUBLITRAC account: the records that v1 and v2 share."""
