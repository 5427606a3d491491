"""Download of MNIST: the names, mirrors and checksums of its files."""

from __future__ import annotations

from pathlib import Path

from cnn._base import extras
from cnn._base.log import LOGGER
from cnn._training import progress

# Mirrors with the same files; the second is used if the first fails.
MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
SHA256 = {
    "train-images-idx3-ubyte.gz": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
    ),
    "train-labels-idx1-ubyte.gz": (
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
    ),
    "t10k-images-idx3-ubyte.gz": (
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
    ),
}


def fetch_mnist(where: str) -> Path:
    """Return the folder of the cache with the four files, after a download of missing ones.

    Each file is checked, whether it comes from the network or was in the cache.
    """
    pooch = extras.require(where, "pooch", "data")
    requests = extras.require(where, "requests", "data")  # which pooch itself uses
    folder = Path(pooch.os_cache("cnn"), "mnist")
    downloader = pooch.HTTPDownloader(progressbar=progress.wanted(where, "auto"))
    mirrors = list(MIRRORS)
    for name, digest in SHA256.items():
        failures: list[str] = []
        last: Exception | None = None
        # A copy, since a mirror that fails is moved to the end, so that the next file does not wait
        # for it.
        for mirror in tuple(mirrors):
            try:
                pooch.retrieve(
                    mirror + name, f"sha256:{digest}", name, folder, downloader=downloader
                )
                LOGGER.info("%s: %s is in %s", where, name, folder)
                break
            # A wrong checksum is a ValueError. Errors of the system, such as a cache without write
            # permission, do not come from the mirror.
            except (requests.RequestException, ValueError) as error:
                failures.append(f"{mirror}: {_reason(error)}")
                last = error
                LOGGER.warning("%s: %s not fetched from %s", where, name, failures[-1])
                mirrors.append(mirrors.pop(0))
        else:
            raise OSError(
                f"{where}: {name} could not be fetched from any mirror ({'; '.join(failures)}). "
                f"Without a network, set the environment variable CNN_DATA to a folder with the "
                f"four files of MNIST; cnn.datasets.load_digits() needs no files."
            ) from last
    return folder


def _reason(error: Exception) -> str:
    """Return a short reason why a file was not fetched; the error itself is chained."""
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return "the file there has another SHA-256"
    text = str(error)
    # requests describes a failed connection with its internal objects.
    return text if len(text) < 120 else type(error).__name__
