"""The page of the model."""
