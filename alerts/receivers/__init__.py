"""Receivers: how they are written down, what a message looks like to each, and the ways to them."""
