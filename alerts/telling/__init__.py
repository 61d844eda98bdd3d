"""Who is told what, when, and why not."""
