"""Training: samples and their checks, the loop of fit, single steps, progress."""
