"""Rules over spans of the grid: what they look back on, and what came of them."""
