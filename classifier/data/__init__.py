"""Labelled and unlabelled text: read, compared and split so that nothing leaks."""
