"""Scoring on another machine: the server that offers a model, and the scorer that asks one."""
