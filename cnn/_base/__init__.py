"""Helpers for all modules of cnn: checks of arguments, numbers and texts, files, warnings."""
