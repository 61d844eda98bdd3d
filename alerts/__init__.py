"""Rules, decisions and their consequences: from time buckets to somebody being told."""
