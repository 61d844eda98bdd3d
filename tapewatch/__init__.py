"""The front door: settings, wiring and the command line. Joins the other packages."""
