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


def test_a_command_line_is_answered_before_torch_is_loaded():
    """What --help needs, defaults and choices included."""
    code = (
        "import importlib, sys; from slowfast_ext.cli import commands;"
        "[importlib.import_module(f'slowfast_ext.cli.{name}') for name in commands()];"
        "print([m for m in ('torch', 'av', 'numpy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
