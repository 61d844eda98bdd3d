"""PostgreSQL, and all the SQL there is: schema, commits, reads, the alert log, the digest."""
