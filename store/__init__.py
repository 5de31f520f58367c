"""Every SQL statement, and nothing else: functions of a connection within a transaction."""
