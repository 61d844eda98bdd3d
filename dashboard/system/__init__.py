"""The page of the system."""
