"""Why an alert fired: its card, the documents behind it, and the words that weighed most."""
