import subprocess
import sys


def test_the_package_itself_imports_nothing_heavy():
    code = "import sys, slowfast_ext; print([m for m in ('torch', 'yaml', 'av', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
