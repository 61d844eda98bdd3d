"""Documents in: the contract, the sources and the pipeline loop. Knows no torch and no SQL."""
