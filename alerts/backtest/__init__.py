"""What rules would have done on history: their firings, their cost, and how two sets differ."""
