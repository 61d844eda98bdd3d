"""The page of one topic, symbol or source."""
