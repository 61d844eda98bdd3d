"""Text in, prediction out: the two-headed GPT, its micro-batches, training and evaluation."""
