"""Keys of a network's metadata, which files keep."""

COLUMNS = "preprocessing"
"""How inputs are made of the columns of a table: see `cnn._tables.preprocessing`."""
EPOCHS = "epochs"
"""For how many epochs the network has been trained over its life."""
LR = "lr"
"""The learning rate of a saved optimizer, as JSON."""
