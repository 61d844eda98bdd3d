"""What analysts look at. Reads through the store; knows no SQL, no model, no Kafka."""
