"""The files of the site that other extensions make before Sphinx reads the documents."""


def write(folder, texts):
    """Make a folder have these texts, given by the names of their files, and nothing else.

    A file that has its text already is not written, as Sphinx reads again what was written again.
    """
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
