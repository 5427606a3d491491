"""Paths of the installed header, library and build files, for compilers and build systems."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["get_cmake_dir", "get_include", "get_library", "get_pkgconfig_dir"]


def _find(*parts: str) -> Path:
    """Return the path of an installed file or folder.

    A package that is installed in editable mode has two folders: the sources and the build.
    """
    folders = sys.modules["cnn"].__path__
    for folder in folders:
        path = Path(folder, *parts)
        if path.exists():
            return path
    raise FileNotFoundError(f"{Path(*parts)} is not beside cnn in {', '.join(folders)}")


def get_include() -> str:
    """Return the include folder for C compilers, which holds ``cnn/cnn.h``.

    Returns
    -------
    str
        The folder's path.

    Raises
    ------
    FileNotFoundError
        If the installation does not have it.

    Examples
    --------
    >>> import cnn, os
    >>> os.listdir(os.path.join(cnn.get_include(), "cnn"))
    ['cnn.h']
    """
    return str(_find("include"))


def get_library() -> str:
    """Return the path of the shared library, for linkers, `ctypes.CDLL` and cffi's ``dlopen``.

    Returns
    -------
    str
        The file's path.

    Raises
    ------
    FileNotFoundError
        If the installation does not have it.

    Examples
    --------
    >>> import cnn, ctypes
    >>> ctypes.CDLL(cnn.get_library()).cnn_abi_version()
    1
    """
    if sys.platform == "win32":
        return str(_find("cnn.dll"))
    return str(_find("lib", "libcnn.dylib" if sys.platform == "darwin" else "libcnn.so"))


def get_cmake_dir() -> str:
    """Return the folder with ``cnnConfig.cmake``, for CMake's ``-Dcnn_DIR=``.

    Projects that scikit-build-core builds find it without this option.

    Returns
    -------
    str
        The folder's path.

    Raises
    ------
    FileNotFoundError
        If the installation does not have it.

    Examples
    --------
    >>> import cnn, os
    >>> os.path.isfile(os.path.join(cnn.get_cmake_dir(), "cnnConfig.cmake"))
    True
    """
    return str(_find("lib", "cmake", "cnn"))


def get_pkgconfig_dir() -> str:
    """Return the folder with ``cnn.pc``, for ``PKG_CONFIG_PATH``.

    ``python -m pkgconf``, from the package pkgconf, finds it without this variable.

    Returns
    -------
    str
        The folder's path.

    Raises
    ------
    FileNotFoundError
        If the installation does not have it.

    Examples
    --------
    >>> import cnn, os
    >>> os.listdir(cnn.get_pkgconfig_dir())
    ['cnn.pc']
    """
    return str(_find("lib", "pkgconfig"))


def kernel_source(name: str) -> str:
    """Return the text of a kernel's source, such as "vmath.h"."""
    return _find("kernels", name).read_text(encoding="utf-8")
