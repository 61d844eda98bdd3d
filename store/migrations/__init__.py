"""Alembic's environment; the versions are in order of their numbers."""
