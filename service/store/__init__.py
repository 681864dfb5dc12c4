"""The service's record of studies, jobs and keys, in SQLite or PostgreSQL: each class says what may happen to it."""
