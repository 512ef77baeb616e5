"""What an installed package has: configurations and the types of its functions, without a checkout."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_a_wheel_holds_the_models(tmp_path):
    pytest.importorskip("setuptools")
    skip = shutil.ignore_patterns(".*", "exp", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, tmp_path / "source", ignore=skip)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "-w", tmp_path, tmp_path / "source"], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith("dist-info")} == {"slowfast_ext"}
    assert "slowfast_ext/py.typed" in names
    files = (path for path in (ROOT / "slowfast_ext").rglob("*") if path.is_file())
    wanted = {path.relative_to(ROOT).as_posix() for path in files if path.suffix != ".pyc"}
    assert wanted <= set(names)
    ask = "import slowfast_ext as s; print(s.__file__, len(s.list_models()), s.create_model('deit_s').config.VIT.DEPTH)"
    environment = {"PYTHONPATH": str(tmp_path / "installed")}
    done = subprocess.run(
        [sys.executable, "-c", ask], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    file, models, depth = done.stdout.split()
    assert file.startswith(str(tmp_path)), done.stderr
    assert int(models) > 50
    assert depth == "12"
