"""Where a ledger can be kept: a folder, or a PostgreSQL server."""
