"""What a rule finds at a grid point, and the states that follow from it. Pure."""
