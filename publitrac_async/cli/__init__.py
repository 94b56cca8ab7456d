"""The command line, with the extra `cli`. Nothing else imports this room."""
