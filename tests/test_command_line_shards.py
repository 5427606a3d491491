"""`cnn train --shards`: many files as one table, by one process or several."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from marks import slow_sets
from shard_threads import good, run_ranks
from tables import content, run

import cnn
from cnn import _core, tabular
from cnn._tables import preprocessing
from cnn._tables.dialect import Dialect
from cnn.cli import processes
from cnn.tabular import _fit_shards

FILES = 5


def rows_of(seed=0, count=600):
    """Return rows with numbers, categories, missing values and two targets."""
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal(count), rng.integers(0, 4, count)
    c = rng.choice(["red", "green", "blue"], count)
    y = 2 * a + (c == "red") * 3 + b + rng.standard_normal(count) * 0.1
    size = np.where(y > 4, "large", np.where(y > 1, "middle", "small"))
    gone = rng.random(count) < 0.1
    return [
        [repr(float(a[i])) if not gone[i] else "", b[i], c[i], repr(float(y[i])), size[i]]
        for i in range(count)
    ]


HEAD = ["a", "b", "c", "y", "size"]


def parts_of(rows, files=FILES):
    return [rows[len(rows) * i // files : len(rows) * (i + 1) // files] for i in range(files)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the rows in files of CSV, in one file, and in files of Parquet."""
    found = tmp_path_factory.mktemp("parts")
    rows = rows_of()
    (found / "whole.csv").write_text(content([HEAD, *rows]), encoding="utf-8")
    for i, part in enumerate(parts_of(rows)):
        (found / f"part-{i}.csv").write_text(content([HEAD, *part]), encoding="utf-8")
    return found


def paths_of(folder, ending="csv"):
    return [str(folder / f"part-{i}.{ending}") for i in range(FILES)]


def options(target="size", **others):
    given = {"missing": "median", "epochs": "4", "shards": "3", "seed": "5"} | others
    return ["--target", target, *(f"--{k.replace('_', '-')}={v}" for k, v in given.items()), "-q"]


def trained(capsys, tmp_path, paths, *arguments):
    """Return the bytes of the model, and what was printed."""
    model = tmp_path / "model.safetensors"
    code, out, err = run(capsys, "train", *paths, "-o", model, *arguments)
    assert code == 0, err
    return model.read_bytes(), out


def test_it_trains_and_the_model_predicts(folder, tmp_path, capsys):
    _, out = trained(capsys, tmp_path, paths_of(folder), *options(epochs="200"))
    lines = out.splitlines()
    assert lines[0] == (f"{folder}/part-0.csv and 4 other files: 600 rows, 4 columns to learn from")
    assert "missing values, median: a (" in lines[1]
    assert "learns from 480 rows, 120 held out" in out
    assert ", the one with the least held-out loss)" in lines[-1]
    code, out, _ = run(
        capsys, "evaluate", tmp_path / "model.safetensors", folder / "whole.csv", "--json"
    )
    assert code == 0
    assert json.loads(out)["accuracy"] > 0.9


def test_it_tells_files_shards_and_processes(folder, tmp_path, capsys):
    arguments = [word for word in options() if word != "-q"]
    _, out = trained(capsys, tmp_path, paths_of(folder), *arguments)
    assert out.splitlines()[0] == "reading 5 files as 3 shards, by 1 process"


@pytest.mark.parametrize("missing", ["drop", "mean", "median", "category"])
@pytest.mark.parametrize("target", ["size", "y"])
def test_columns_are_those_of_one_table(folder, tmp_path, capsys, target, missing):
    """Without held-out rows both learn of the same rows, and so the same preprocessing."""
    others = {"missing": missing, "hold_out": "0", "epochs": "1"}
    sharded = tmp_path / "model.safetensors"
    trained(capsys, tmp_path, paths_of(folder), *options(target, **others))
    one = tmp_path / "one.safetensors"
    words = [word for word in options(target, **others) if "--shards" not in word]
    words += ["--model", "dense"]
    assert run(capsys, "train", folder / "whole.csv", "-o", one, *words)[0] == 0
    plans = [
        preprocessing.of_network(cnn.load(model).net._network, "model") for model in (sharded, one)
    ]
    assert plans[0] == plans[1]


def test_the_order_in_which_files_are_given_does_not_matter(folder, tmp_path, capsys):
    expected, _ = trained(capsys, tmp_path, paths_of(folder), *options())
    assert trained(capsys, tmp_path, paths_of(folder)[::-1], *options())[0] == expected
    assert trained(capsys, tmp_path, paths_of(folder), *options(shards="2"))[0] != expected


def test_parquet_gives_the_same_model(folder, tmp_path, capsys):
    pa_csv = pytest.importorskip("pyarrow.csv")
    parquet = pytest.importorskip("pyarrow.parquet")
    for path in paths_of(folder):
        parquet.write_table(pa_csv.read_csv(path), path.replace(".csv", ".parquet"))
    expected, _ = trained(capsys, tmp_path, paths_of(folder), *options())
    assert trained(capsys, tmp_path, paths_of(folder, "parquet"), *options())[0] == expected


# ---- Several processes ---------------------------------------------------------------------------


def fit(paths, comm=None, *, target="size", missing="median", saved=None, shards=4, **settings):
    """Train as the command does; return the fitted network in each process."""
    given = {"epochs": 4, "seed": 5, "missing": missing, "hidden": (8,)} | settings
    return tabular.fit_shards(
        paths,
        shards,
        tabular.Reading(target, Dialect(), missing=missing),
        tabular.Settings(**given),
        tabular.Run(comm, progress=False),
        check=lambda: None,
        started=lambda found, start: None,
        ended=lambda fitted: None if saved is None else saved.append(fitted),
    )


@pytest.mark.parametrize(
    ("target", "missing"),
    [
        ("size", "median"),
        ("y", "category"),
        *slow_sets(("size", "drop"), ("size", "category"), ("y", "drop"), ("y", "median")),
    ],
)
def test_processes_do_not_matter(folder, target, missing):
    def go(comm):
        saved = []
        fitted = fit(paths_of(folder), comm, target=target, missing=missing, saved=saved)
        assert len(saved) == (comm is None or comm.rank == 0)
        return tabular.of_fitted(fitted).net._network.to_bytes(), fitted.held_out, fitted.baseline

    expected = go(None)
    for size in (2, 3, 6):
        for found in good(run_ranks(size, go)):
            assert found == expected


def test_class_weights_of_all_shards(folder):
    def go(comm):
        return fit(paths_of(folder), comm, class_weight="balanced").net._network.to_bytes()

    expected = go(None)
    assert set(good(run_ranks(3, go))) == {expected}
    assert fit(paths_of(folder)).net._network.to_bytes() != expected


def bad(folder, tmp_path, place, text):
    """Return the files, of which one has another text."""
    paths = []
    for i, path in enumerate(paths_of(folder)):
        paths.append(str(tmp_path / f"part-{i}.csv"))
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        if i == place[0]:
            lines[place[1]] = text
        Path(paths[-1]).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return paths


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2", "{0}: row 7 (line 8) has 2 fields, should have 5, as the first line does"),
        ("x,1,red,1,small", "but 'x' in row 7 (line 8) of {0}; should be numbers throughout"),
        ("1,1,red,1,", "row 7 (line 8) of {0}, column 'size' is missing, should be known"),
    ],
)
def test_a_bad_file_of_one_process_ends_all(folder, tmp_path, text, message):
    paths = bad(folder, tmp_path, (3, 7), text)
    found = run_ranks(3, lambda comm: fit(paths, comm))
    assert {type(error) for error in found} <= {ValueError}
    assert len({str(error) for error in found}) == 1
    assert message.format(paths[3]) in str(found[0])


def test_a_held_out_number_that_is_too_far_names_its_row(folder, tmp_path):
    order = _core.permutation(_core.shard_seed(5, 3), 0, 120, 0, 120)
    row = int(order[0])
    paths = bad(folder, tmp_path, (4, 1 + row), "1e60,1,red,1,small")
    for error in run_ranks(2, lambda comm: fit(paths, comm, target="y", missing="mean")):
        assert f"{paths[4]}: row {row + 1}, column 'a' is 1e+60, which is too far" in str(error)


def test_a_file_of_other_columns_names_both(folder, tmp_path):
    paths = bad(folder, tmp_path, (4, 0), "a,b,colour,y,size")
    for error in run_ranks(2, lambda comm: fit(paths, comm)):
        assert f"{paths[4]}: column 'c', which {paths[2]} has, is missing; " in str(error)


def test_a_full_disk_at_the_end_ends_all(folder):
    def ended(_):
        raise OSError(28, "No space left on device", "model")

    def go(comm):
        return tabular.fit_shards(
            paths_of(folder),
            3,
            tabular.Reading("y", Dialect(), missing="mean"),
            tabular.Settings(epochs=1, missing="mean"),
            tabular.Run(comm, progress=False),
            check=lambda: None,
            started=lambda found, start: None,
            ended=ended,
        )

    for error in run_ranks(2, go):
        assert isinstance(error, OSError)
        assert "No space left on device: 'model'" in str(error)


# ---- Checkpoints ---------------------------------------------------------------------------------


def test_a_run_that_was_killed_goes_on(folder, tmp_path, capsys, monkeypatch):
    arguments = options(epochs="12", hidden="8", batch_size="50")
    expected, _ = trained(capsys, tmp_path, paths_of(folder), *arguments)
    checkpoint = tmp_path / "run.safetensors"
    arguments += ["--checkpoint", str(checkpoint), "--every", "3"]
    before = _fit_shards.Recorder.on_epoch_end

    def stop(self, epoch, logs):
        if epoch == 7:
            raise OSError("killed")
        before(self, epoch, logs)

    with monkeypatch.context() as patched:
        patched.setattr(_fit_shards.Recorder, "on_epoch_end", stop)
        model = tmp_path / "other.safetensors"
        code, _, err = run(capsys, "train", *paths_of(folder), "-o", model, *arguments)
        assert (code, "killed" in err) == (1, True)
    assert checkpoint.exists()
    assert not model.exists()
    found, out = trained(capsys, tmp_path, paths_of(folder), *arguments)
    assert found == expected
    assert "of 12, the one with the least held-out loss)" in out
    # A run that has ended gives its model again, and other settings are another run.
    assert trained(capsys, tmp_path, paths_of(folder), *arguments)[0] == expected
    code, _, err = run(capsys, "train", *paths_of(folder), "-o", model, *arguments, "--lr", "0.5")
    assert (code, "lr is 0.5, but was 0.001 in the run that checkpoint" in err) == (1, True)


def test_ctrl_c_keeps_the_best_epoch(folder, tmp_path, capsys, monkeypatch):
    before = _fit_shards.Recorder.on_epoch_end

    def stop(self, epoch, logs):
        before(self, epoch, logs)
        if epoch == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(_fit_shards.Recorder, "on_epoch_end", stop)
    model = tmp_path / "model.safetensors"
    code, out, err = run(capsys, "train", *paths_of(folder), "-o", model, *options())
    assert code == 130
    assert "interrupted; the model is that of the best epoch so far" in err
    assert " of 3, the one with the least held-out loss)" in out
    assert cnn.load(model).classes == ("large", "middle", "small")


# ---- Refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shards", "6"], "the number of shards is 6, should be at most that of the files, 5"),
        (["--shards", "2", "--folds", "3"], "train: --folds is given, which --shards N does not"),
        (["--shards", "2", "--every", "3"], "train: --every is given without --checkpoint"),
        ([], "train: 5 files are given; --shards N trains on them as one table, N being at most"),
        (["--comm", "mpi"], "train: 1 process should train together by MPI, for which --shards N"),
    ],
)
def test_refusals(folder, tmp_path, capsys, arguments, message):
    model = tmp_path / "model.safetensors"
    code, _, err = run(
        capsys, "train", *paths_of(folder), "--target", "y", "-o", model, "-q", *arguments
    )
    assert code == 1
    assert err.startswith(f"cnn: error: {message}")
    assert not model.exists()


@pytest.mark.parametrize("option", ["--checkpoint", "--every"])
def test_options_that_need_shards(folder, tmp_path, capsys, option):
    model = tmp_path / "model.safetensors"
    code, _, err = run(
        capsys, "train", folder / "whole.csv", "--target", "y", "-o", model, option, "3"
    )
    assert (code, f"{option} is given, which only --shards N has" in err) == (1, True)


def test_stdin_and_the_output_are_no_shards(folder, tmp_path, capsys):
    arguments = ["--target", "y", "--shards", "1", "-q"]
    model = tmp_path / "model.safetensors"
    code, _, err = run(capsys, "train", "-", *arguments, "-o", model)
    assert (code, "- is stdin, which shards cannot be made of" in err) == (1, True)
    paths = paths_of(folder)
    code, _, err = run(capsys, "train", *paths, *arguments, "-o", paths[2])
    assert (code, f"{paths[2]} would replace {paths[2]}" in err) == (1, True)
    for same in (model, f"{tmp_path}/../{tmp_path.name}/{model.name}"):
        words = [*paths, *arguments, "-o", model, "--checkpoint", same]
        code, _, err = run(capsys, "train", *words)
        assert (code, "which the model is to be; should be another file" in err) == (1, True)


# ---- MPI -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names", [("PMI_SIZE", "PMI_RANK"), ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK")]
)
def test_copies_are_refused_once(folder, tmp_path, names):
    """Four processes without --shards must not train four networks."""
    for rank in range(2):
        done = subprocess.run(
            [
                sys.executable,
                "-P",
                "-m",
                "cnn",
                "train",
                str(folder / "whole.csv"),
                "--target",
                "y",
                "-o",
                str(tmp_path / "model.safetensors"),
            ],
            capture_output=True,
            encoding="utf-8",
            check=False,
            env=os.environ | dict(zip(names, ["4", str(rank)], strict=True)),
        )
        assert done.returncode == 1
        assert done.stdout == ""
        message = "cnn: error: train: 4 processes should train together by MPI, for which --shards"
        assert done.stderr.startswith(message) if rank == 0 else done.stderr == ""


def test_started(monkeypatch):
    for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "PMI_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert processes.started() == 1
    assert processes.is_first()
    assert processes.world("auto") is None
    monkeypatch.setenv("MV2_COMM_WORLD_SIZE", "3")
    monkeypatch.setenv("MV2_COMM_WORLD_RANK", "2")
    assert processes.started() == 3
    assert not processes.is_first()
    assert processes.world("none") is None
    monkeypatch.setenv("PMI_SIZE", "many")
    assert processes.started() == 3


class World:
    """What mpi4py has for one of several processes, none of which ever answers."""

    rank, size = 1, 2

    def __init__(self, *, others_end):
        self._others_end = others_end
        self.aborted = None

    def Ibarrier(self):
        return self

    def Test(self):
        return self._others_end

    def Abort(self, code):
        self.aborted = code
        raise SystemExit(code)


def test_an_mpi_of_another_mpiexec_is_told(monkeypatch):
    module, package = ModuleType("mpi4py.MPI"), ModuleType("mpi4py")
    module.COMM_WORLD = World(others_end=True)
    monkeypatch.setitem(sys.modules, "mpi4py", package)
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", module)
    monkeypatch.setenv("PMI_SIZE", "2")
    assert processes.world("auto") is module.COMM_WORLD
    monkeypatch.setenv("PMI_SIZE", "4")
    with pytest.raises(ValueError, match="4 processes were started by mpiexec, but mpi4py knows"):
        processes.world("auto")
    monkeypatch.delenv("PMI_SIZE")
    assert processes.world("mpi") is module.COMM_WORLD


def test_mpi4py_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", None)
    with pytest.raises(ImportError, match=r"train: mpi4py is not installed; .*\[mpi\]"):
        processes.world("mpi")


def failing(error):
    def work():
        raise error

    return work


def test_how_processes_end(monkeypatch, capsys):
    monkeypatch.setattr(processes, "_PATIENCE", 0.05)
    assert processes.run(None, lambda: 3) == 3
    assert processes.run(World(others_end=True), lambda: 3) == 3
    # An error of all: the first process raises it, and the others end without a word.
    world = World(others_end=True)
    assert processes.run(world, failing(ValueError("bad"))) == 1
    assert capsys.readouterr().err == ""
    world.rank = 0
    with pytest.raises(ValueError, match=r"^bad$"):
        processes.run(world, failing(ValueError("bad")))
    # An error of this process alone, or one that should not be: all are ended.
    for error, text in (
        (ValueError("bad"), "cnn: error: process 1: bad\n"),
        (RuntimeError("a bug"), "RuntimeError: a bug\n"),
    ):
        world = World(others_end=False)
        with pytest.raises(SystemExit):
            processes.run(world, failing(error))
        assert world.aborted == 1
        assert capsys.readouterr().err.endswith(text)
