"""The page that is open all day."""
