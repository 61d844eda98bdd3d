"""The page of replays and backtests."""
