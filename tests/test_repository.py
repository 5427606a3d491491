"""The files around the package: the address of the repository, README on a package index."""

import re
import tomllib

from doc_blocks import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ADDRESS = PROJECT["project"]["urls"]["Repository"]


def test_there_is_one_address():
    files = [ROOT / "pyproject.toml", ROOT / "CITATION.cff", *(ROOT / ".github").rglob("*.*")]
    for path in files:
        for found in re.findall(r"https://github\.com/[\w-]+/cnn\b", path.read_text("utf-8")):
            assert found == ADDRESS, path
    for url in PROJECT["project"]["urls"].values():
        assert url.startswith(ADDRESS)
        if f := re.fullmatch(r".*/(?:tree|blob)/main/(.*)", url):
            assert (ROOT / f[1]).exists()


def test_readmes_links_are_absolute_on_a_package_index():
    hook = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    (fragment,) = hook["fragments"]
    text = before = (ROOT / fragment["path"]).read_text(encoding="utf-8")
    for rule in hook["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    targets = re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", text)
    assert len(targets) > 20
    for is_image, target in targets:
        assert target.startswith("https://")
        if target.startswith(ADDRESS):
            kind, path = target.removeprefix(f"{ADDRESS}/").split("/main/")
            assert kind == ("raw" if is_image else "blob")
            assert (ROOT / path).exists()
    # Nothing else changes.
    assert re.sub(rf"{ADDRESS}/(raw|blob)/main/", "", text) == before


def test_readme_says_first_what_cnn_is():
    first = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split()[:60])
    assert "C neural network" in first
    assert "no convolutions" in first
