"""Keys of a network's metadata, which files keep."""

CLASS_NAMES = "class_names"
"""The names of outputs, as JSON."""
COLUMNS = "preprocessing"
"""How inputs are made of the columns of a table: see `cnn._tables.preprocessing`."""
EPOCHS = "epochs"
"""For how many epochs the network has been trained over its life."""
FEATURE_NAMES = "feature_names"
"""The names of inputs, as JSON."""
LR = "lr"
"""The learning rate of a saved optimizer, as JSON."""
RUN = "distributed_run"
"""The state of a run of `cnn.distributed`, as JSON; in checkpoints alone."""

TABULAR = "tabular"
"""What a TabularClassifier or TabularRegressor has beside its network, as JSON."""

OWN = frozenset({CLASS_NAMES, COLUMNS, EPOCHS, FEATURE_NAMES, LR, RUN, TABULAR})
"""The keys that cnn uses itself; users have all others."""
