"""A job that nobody watches: when it is due, what it waits for, what became of it, and who is told."""
