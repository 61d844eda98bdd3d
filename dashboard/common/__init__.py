"""What all pages share: what is read, how it is said and drawn, and where links lead."""
