"""The parser of the command line: commands, options and their help."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from cnn import _core, installed
from cnn._base import texts
from cnn._tables import numerals
from cnn._tables.dialect import MISSING
from cnn.cli import (
    about,
    arguments,
    choice,
    completion,
    evaluate,
    files,
    predict,
    processes,
    terminal,
    train,
)
from cnn.tabular import PRESETS, Recipe, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import SupportsWrite


# ---- Paths for compilers -----------------------------------------------------------------------


def _cflags() -> list[str]:
    return [f"-I{installed.get_include()}"]


def _libs() -> list[str]:
    # A run path, so that programs find the library when they run.
    folder = Path(installed.get_library()).parent
    return [f"-L{folder}", f"-Wl,-rpath,{folder}", "-lcnn"]


# Flags for Makefiles, like those of other packages' *-config programs.
FLAGS = {
    "cflags": (_cflags, "what a C compiler needs to find cnn/cnn.h"),
    "libs": (_libs, "what a linker needs to find libcnn, now and when the program runs"),
    "cmakedir": (lambda: [installed.get_cmake_dir()], "the folder for CMake's -Dcnn_DIR="),
    "pkgconfigdir": (lambda: [installed.get_pkgconfig_dir()], "the folder for PKG_CONFIG_PATH"),
}


class Parser(argparse.ArgumentParser):
    """A parser that shows no control characters, and raises an error if stdout is broken."""

    def error(self, message: str) -> NoReturn:
        """Print an error on the arguments, and exit with 2."""
        if message.endswith("expected one argument"):
            message += "; one that begins with - is written as in --missing=-"
        super().error(texts.shown(message))

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        # argparse itself ignores errors when it writes a help text.
        if file is sys.stdout:
            terminal.write(message)
        else:
            terminal.complain(*message.removesuffix("\n").split("\n"))


# ---- Parsers -----------------------------------------------------------------------------------

_DATA = (
    "the table: CSV, TSV, either of them compressed by gzip, or Parquet; - is the standard input"
)


def parser() -> Parser:
    """Return the parser of the command line."""
    program = "cnn" if Path(sys.argv[0]).stem == "cnn" else "python -m cnn"
    made = Parser(
        prog=program,
        description="Dense neural networks for tables: train, evaluate, predict, export.",
        epilog="COMMAND --help lists the options of a command.",
    )
    made.add_argument("--version", action="version", version=f"cnn {_core.version()}")
    for flag, (_, text) in FLAGS.items():
        made.add_argument(f"--{flag}", action="store_true", help=f"print {text}")
    commands = made.add_subparsers(dest="command", metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> Parser:
        found = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        found.set_defaults(run=run)
        return found

    _add_train(add("train", train.train, "train a network on a table and save it"))
    _add_evaluate(add("evaluate", evaluate.evaluate, "measure a model on a table with the target"))
    _add_predict(add("predict", predict.predict, "predict for the rows of a table"))
    _add_model(add("show", files.show, "tell what a model file holds"))
    _add_export(add("export", files.export, "write a model as a C header or an ONNX file"))
    add("info", about.info, "tell version, instruction set, threads, and why they are so")
    add("demo", about.demo, "train on handwritten digits and show what comes out")
    shells = add(
        "completion",
        lambda parsed: completion.completion(parsed.shell, parser()),
        "print a script by which a shell completes commands and options",
    )
    shells.add_argument(
        "shell",
        choices=completion.SHELLS,
        help='use it by eval "$(cnn completion bash)", the same with zsh, or cnn completion fish '
        "| source",
    )
    return made


def _add_model(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a file that 'train' or net.save wrote")


def _add_evaluate(parser: Parser) -> None:
    _add_model(parser)
    parser.add_argument("data", metavar="DATA", help=f"{_DATA}; the target is one of its columns")
    parser.add_argument("--json", action="store_true", help="print all digits, as JSON")
    parser.add_argument(
        "--target",
        metavar="COL",
        help="the column of the target; that of the model if left out. The file of an estimator "
        "that was saved in Python does not name it",
    )
    _add_dialect(parser, "that of the model")
    _add_model_missing(parser)


def _add_predict(parser: Parser) -> None:
    _add_model(parser)
    parser.add_argument("data", metavar="DATA", help=f"{_DATA}; columns may have any order")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=arguments.file_or_stdout,
        help="the CSV file to write; stdout if left out, or for -",
    )
    parser.add_argument(
        "--id",
        metavar="COLS",
        type=arguments.names,
        action="extend",
        default=[],
        help="columns of the table to copy into the output, before the prediction",
    )
    parser.add_argument(
        "--proba",
        action=argparse.BooleanOptionalAction,
        help="print the probability of each class, or do not (default: if there are classes)",
    )
    _add_dialect(parser, "that of the model")
    _add_model_missing(parser)


def _add_export(parser: Parser) -> None:
    _add_model(parser)
    parser.add_argument("--to", required=True, choices=("c", "onnx"), help="the format")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=arguments.file,
        help="the file to write; the model's name with .h or .onnx if left out",
    )
    parser.add_argument("--name", help="what names in a C header begin with; the file's name")


def _add_dialect(parser: Parser, decimal: str) -> None:
    """Add the options on the format of a table; `decimal` describes the default of --decimal."""
    parser.add_argument(
        "--delimiter",
        metavar="CHAR",
        type=arguments.delimiter,
        help="what is between fields, such as ';' or tab; if left out, the one of , ; | and tab "
        "that fits the first lines",
    )
    parser.add_argument(
        "--decimal",
        metavar="MARK",
        choices=(numerals.POINT, ","),
        default=numerals.POINT if decimal == "a point" else None,
        help=f"the mark before decimals: a point or a comma (default {decimal})",
    )


def _add_model_missing(parser: Parser) -> None:
    parser.add_argument(
        "--missing",
        metavar="TEXTS",
        type=arguments.texts_of_missing,
        help="texts that stand for a missing value; an empty field always does. By default those "
        "of the training if the model has learnt what missing values become; otherwise missing "
        "values are refused, and so are all texts that the model does not know",
    )


def _add_train(parser: Parser) -> None:
    """Add the options on the table, then all others."""
    parser.add_argument(
        "data",
        metavar="DATA",
        nargs="+",
        help=f"{_DATA}. The first line has names. Several files are one table, cut into --shards",
    )
    add = parser.add_argument
    add("--target", metavar="COL", required=True, help="the column to predict, by its name")
    add(
        "-o",
        "--output",
        metavar="FILE",
        type=arguments.file,
        required=True,
        help="the model file to write",
    )
    add(
        "--drop",
        metavar="COLS",
        type=arguments.names,
        action="extend",
        default=[],
        help="columns to leave out, such as id,name; '' for those without a name",
    )
    add(
        "--categories",
        metavar="COLS",
        type=arguments.names,
        action="extend",
        default=[],
        help="columns to take for categories, though they have numbers: each text is one, so "
        "that 7 and 07 are two",
    )
    _add_dialect(parser, "a point")
    default = ", ".join(sorted(MISSING - {""})).replace("%", "%%")
    add(
        "--missing",
        metavar="POLICY|TEXTS",
        action=arguments.Missing,
        default=(None, MISSING),
        help="what to do about missing values: refuse them (error, the default of dense; tabular "
        "makes features of them by default), leave their rows out (drop), and with dense alone "
        "replace numbers by the mean or the median and categories by the most frequent one (mean, "
        "median), or give them an input of their own (category). Or texts that stand "
        f"for them, besides the empty field; '' for no others (default {default}). May be given "
        "twice, for both",
    )
    add(
        "--task",
        choices=("auto", "classification", "regression"),
        default="auto",
        help="what the target calls for; auto takes texts, and up to 20 different whole numbers, "
        "for classes (default %(default)s)",
    )
    add(
        "--model",
        choices=choice.MODELS,
        help="a dense network of inputs that are standardised (dense), or the networks of "
        "cnn.tabular.TabularClassifier and TabularRegressor, which need scikit-learn (tabular). By "
        "default the one whose options are given, and otherwise tabular if there are categories or "
        "missing values",
    )
    _add_network(parser)
    _add_training(parser)
    _add_sharding(parser)
    add("-q", "--quiet", action="store_true", help="show no progress")


def _add_network(parser: Parser) -> None:
    """Add the options on the network."""
    add = parser.add_argument
    standard = Settings()
    add(
        "--preset",
        choices=tuple(PRESETS),
        help="with tabular: averages of weights over the epochs (default); the same with a smaller "
        "network and fewer epochs, which takes about a tenth of the time (fast); or the recipe as "
        "it was published, which takes about four times as long (realmlp)",
    )
    add(
        "--n-ens",
        metavar="N",
        type=arguments.whole(1, 1000),
        help="with tabular: how many networks are trained, each with another seed; predictions "
        "are means of theirs (default 1)",
    )
    add(
        "--hidden",
        metavar="SIZES",
        type=arguments.hidden,
        help="neurons of hidden layers, such as 50,100, or none "
        f"{_defaults(standard.hidden, 'hidden')}",
    )
    add(
        "--activation",
        metavar="NAME[:NUMBER]",
        type=arguments.activation,
        help="that of hidden layers, such as tanh or leaky_relu:0.2 (default of dense "
        f"{standard.activation}; of tabular selu for classes, mish for numbers)",
    )
    add(
        "--l2",
        metavar="STRENGTH",
        type=arguments.penalty,
        help="with dense: strength of the L2 penalty (default 10 / training rows; 15 / rows in "
        "regression)",
    )
    add(
        "--dropout",
        metavar="RATE",
        type=arguments.share,
        help="share of each hidden layer's outputs that training sets to 0 "
        f"{_defaults(standard.dropout, 'dropout')}",
    )


def _defaults(dense: object, name: str) -> str:
    """Return the defaults of an option that both models have; `name` is the recipe's field."""
    tabular, *others = (_text(getattr(Recipe(**PRESETS[preset]), name)) for preset in PRESETS)
    found = f"default of dense {_text(dense)}; of tabular {tabular}"
    for preset, other in zip(list(PRESETS)[1:], others, strict=True):
        if other != tabular:
            found += f", {other} with --preset {preset}"
    return f"({found})"


def _text(value: object) -> str:
    """Return a value as the option has it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _add_training(parser: Parser) -> None:
    """Add the options on the training."""
    add = parser.add_argument
    size, default = arguments.whole(1, 2**31 - 1), "(default %(default)s)"
    standard = Settings()
    add(
        "--epochs",
        metavar="N",
        type=size,
        help=f"how often each row is used at most {_defaults(standard.epochs, 'epochs')}",
    )
    add(
        "--patience",
        metavar="N",
        type=size,
        help="after how many epochs that are not better on the held-out rows training ends; the "
        f"weights of the best epoch are kept (default of dense {standard.patience}; tabular trains "
        "for all epochs)",
    )
    add(
        "--batch-size",
        metavar="N",
        type=size,
        help="rows in a step (default of dense 32, and up to 512 for large tables; of tabular "
        f"{Recipe.batch_size})",
    )
    add(
        "--lr",
        metavar="RATE",
        type=arguments.rate,
        help=f"learning rate of Adam (default of dense {standard.lr}; of tabular the largest of a "
        "schedule, 0.2 for numbers, 0.08 for classes, and 0.04 for these with --preset realmlp)",
    )
    add(
        "--class-weight",
        choices=("balanced",),
        help="balanced: rows of rare classes weigh more, so that each class weighs the same",
    )
    add(
        "--seed",
        metavar="N",
        type=arguments.whole(0, 2**64 - 1),
        default=0,
        help=f"that of initial weights, held-out rows, and the order of rows {default}",
    )
    add(
        "--hold-out",
        metavar="SHARE",
        type=arguments.share,
        default=standard.hold_out,
        help=f"share of the rows to measure with, not learn from; 0 for none {default}",
    )
    add(
        "--folds",
        metavar="K",
        type=arguments.whole(2, 1000),
        help="with dense: print the scores of K-fold cross-validation, then train on all rows, for "
        "the median of the folds' best epochs",
    )


def _add_sharding(parser: Parser) -> None:
    """Add the options on shards and processes."""
    add = parser.add_argument
    add(
        "--shards",
        metavar="S",
        type=arguments.whole(1, 2**20),
        help="with dense: train on the files as S shards, each of whole files in the order of "
        "their names. The model depends on S and not on the number of processes, which share the "
        "shards: mpiexec -n 4 cnn train ... --shards 8",
    )
    add(
        "--comm",
        choices=processes.CHOICES,
        default="auto",
        help="whether this process trains together with others: by MPI, or none; auto is MPI if "
        "mpiexec has started several (default %(default)s)",
    )
    add(
        "--checkpoint",
        metavar="FILE",
        type=arguments.file,
        help="with --shards, the file to which the state of the training is saved while it runs; "
        "if it exists, training resumes from it",
    )
    add(
        "--every",
        metavar="N",
        type=arguments.whole(1, 2**31 - 1),
        help="after how many steps a checkpoint is saved, besides the end of each epoch",
    )
