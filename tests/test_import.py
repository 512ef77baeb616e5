import subprocess
import sys


def test_the_package_itself_imports_nothing_heavy():
    code = "import sys, slowfast_ext; print([m for m in ('torch', 'yaml', 'av', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_models_import_no_compiler_and_no_other_models():
    """What a command waits for before it does anything: torch itself, and not what torch loads on demand."""
    heavy = (
        "torch._dynamo",
        "torch._inductor",
        "torchvision",
        "torchvision.models",
        "timm",
        "pandas",
        "matplotlib",
        "av",
    )
    code = f"import sys, slowfast_ext.models; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
