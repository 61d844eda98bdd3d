"""Rules as people write them: kinds, policies and routes, and what is checked before they run."""
