"""What comes after training: versions of weights, their promotion, and drift."""
