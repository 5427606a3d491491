"""What the tests of users share; `make test-downstream` makes their environment."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.downstream)


@pytest.fixture(scope="session")
def root():
    """Return the folder of the sources, where examples lie."""
    return HERE.parents[1]


@pytest.fixture(scope="session")
def run():
    """Run a command, and return what it printed; where it fails, show all it said."""

    def run(*command, **environment):
        done = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | environment,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


@pytest.fixture(scope="session")
def pip_install(run, tmp_path_factory):
    """Build one of the projects with what is installed here, and put it on the path.

    It is not optimized: Cython's code compiles for long.
    """

    def install(project):
        target = tmp_path_factory.mktemp(project)
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
        build = tmp_path_factory.mktemp("build")
        copy = build / project
        # setuptools builds in the source folder.
        run("cp", "-r", HERE / "projects" / project, copy)
        command = [sys.executable, "-P", "-m", "pip", "install", *options, "--target", target, copy]
        run(*command, CFLAGS="-O0")
        sys.path.insert(0, str(target))

    return install


@pytest.fixture(scope="session")
def digits_csv(tmp_path_factory):
    """Return the digits as a text file."""
    import bz2

    import cnn

    path = tmp_path_factory.mktemp("data") / "digits.csv"
    packed = Path(cnn.__file__).parent / "datasets" / "digits.csv.bz2"
    path.write_bytes(bz2.decompress(packed.read_bytes()))
    return path
