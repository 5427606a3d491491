"""Files that are written whole or not at all."""

import os
import stat
import threading

import pytest

from cnn._base import files


def test_a_file_is_replaced_and_keeps_its_permissions(tmp_path):
    path = tmp_path / "file"
    files.replace(path, "größe")
    assert path.read_text(encoding="utf-8") == "größe"
    path.chmod(0o600)
    files.replace(str(path), b"\x00")
    assert path.read_bytes() == b"\x00"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path):
    link = tmp_path / "link"
    link.symlink_to("file")
    files.replace(link, "text")
    assert link.is_symlink()
    assert (tmp_path / "file").read_text(encoding="utf-8") == "text"


def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("as before", encoding="utf-8")

    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        files.replace(path, "text")
    assert path.read_text(encoding="utf-8") == "as before"
    assert list(tmp_path.iterdir()) == [path]


def test_errors_name_the_file_that_was_asked_for(tmp_path):
    path = str(tmp_path / "nowhere" / "file")
    with pytest.raises(FileNotFoundError) as caught:
        files.replace(path, "text")
    assert caught.value.filename == path
    with pytest.raises(IsADirectoryError) as caught:
        files.replace(tmp_path, "text")
    assert os.fspath(caught.value.filename) == str(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()), daemon=True)
    reader.start()
    files.replace(path, "text")
    reader.join(timeout=10)
    assert read == [b"text"]
    assert path.is_fifo()
