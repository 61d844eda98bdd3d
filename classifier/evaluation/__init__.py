"""How good a classifier is: measures, calibration, baselines, and the card that says so."""
