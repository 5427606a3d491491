"""What every module of cnn may use: checks of arguments, numbers and texts, files, warnings."""
