"""From the outbox to the receivers: at least once, patiently, and none in the way of others."""
