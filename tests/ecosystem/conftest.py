"""A bundle to look into."""

from pathlib import Path
from zipfile import ZipFile

import pytest

from owlmetry_mcp.cli.main import main


@pytest.fixture(scope="session")
def bundle_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("bundle") / "owlmetry.mcpb"
    assert main(["bundle", "--output", str(file)]) == 0
    return file


@pytest.fixture
def unpacked(bundle_file: Path, tmp_path: Path) -> Path:
    with ZipFile(bundle_file) as archive:
        archive.extractall(tmp_path / "unpacked")
    return tmp_path / "unpacked"
