"""`make dist`: wheel and sdist, built and checked as somebody else will meet them, outside of the checkout.

Quick (the default): metadata, contents, and every command from the installed wheel in an environment that borrows the
dependencies of this one. ``--full``: environments of their own, without any extra and with each extra alone, for every
Python that is found, and once with the lowest versions that the requirements allow (downloads). Of torch only the build
that this interpreter has is small; the other Pythons get none, and run what needs none.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("language", "explore", "sweep", "docs", "dev")
UV = str(Path(sys.executable).parent / "uv")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")

#: Every command, as cheap as it comes; outside of the checkout and without make.
COMMANDS = (
    "--version",
    "compare --task tree:2 --checkpoints 6 --chains 2 --draws 40 --force-short --quiet --out compared",
    "figures --task tree:2 --only loss --formats png --no-animations --out drawn",
    "derive mode_strength --html derived.html",
    "verify --only half-rise --quiet",
    "bench --list",
    "study --list",
    "sweep --help",
    "paper --help",
    "language --help",
    "explore --help",
)
#: Those that need no torch.
SYMBOLIC = tuple(command for command in COMMANDS if not command.startswith(("compare", "bench", "verify")))
#: Those that need an extra.
WITH_EXTRAS = (
    "explore --task tree:2 --export page.html --quiet",
    "sweep --task tree:2 --over a0=0.01,0.1 --side analytic --workers 0 --quiet --out swept",
)
#: What is in the wheel besides Python, and what must not be.
DATA = ("workbench/py.typed", "workbench/explorer/bridge.js")
FOREIGN = ("tests/", "docs/", "benchmarks/", "notebooks/", "results/", ".partial")
#: Importing needs no home directory and chooses no backend of matplotlib.
IMPORTS = (
    "import sys, workbench, workbench.figures, workbench.theory, workbench.influence; "
    "assert 'matplotlib.pyplot' not in sys.modules and 'torch' not in sys.modules"
)


def run(*words: str | Path, cwd: Path = ROOT, **environment: str) -> None:
    """Run a program; what it prints is shown when it fails."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "HOME", "MPLBACKEND")}
    done = subprocess.run([*map(str, words)], cwd=cwd, env=kept | environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))} failed ({done.returncode}):\n{done.stdout[-4000:]}{done.stderr[-4000:]}")


def build(folder: Path) -> tuple[Path, Path]:
    """Wheel and sdist of the working tree; the wheel is built from the sdist."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, HOME=str(folder))
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist, HOME=str(folder))
    return wheel, sdist


def check_contents(wheel: Path, sdist: Path) -> None:
    """Every module and data file of the package is in both; nothing else is in the wheel."""
    tracked = subprocess.run(["git", "ls-files", "workbench"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    expected = {name for name in tracked if not name.endswith("README.md")} | set(DATA)
    packed = set(zipfile.ZipFile(wheel).namelist())
    with tarfile.open(sdist) as archive:
        source = {name.split("/", 1)[-1] for name in archive.getnames()}
    for kind, names in (("wheel", packed), ("sdist", source)):
        if missing := sorted(expected - names):
            sys.exit(f"the {kind} lacks {', '.join(missing[:5])} ({len(missing)} files)")
    if foreign := [name for name in packed if name.startswith(FOREIGN) or name.endswith(FOREIGN)]:
        sys.exit(f"the wheel holds {', '.join(foreign[:5])}")
    print(f"contents: {len(packed)} files in {wheel.name}, {wheel.stat().st_size / 1e6:.2f} MB")


def check_commands(python: Path, folder: Path, commands: tuple[str, ...] = COMMANDS) -> None:
    """Every command from the environment of ``python``, in an empty directory without HOME."""
    folder.mkdir()
    run(python, "-c", IMPORTS, cwd=folder)
    for command in commands:
        run(python.parent / "workbench", *command.split(), cwd=folder, OMP_NUM_THREADS="1")
    print(f"commands: {len(commands)} run with {python}")


def borrowed(wheel: Path, folder: Path) -> Path:
    """An environment with the wheel alone; its dependencies are those of the interpreter that runs this."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    run(UV, "pip", "install", "--offline", "--no-deps", "--python", folder / "bin/python", wheel)
    return folder / "bin/python"


def fresh(wheel: Path, folder: Path, extra: str = "", python: str = sys.executable, lowest: bool = False) -> Path:
    """An environment of its own with the wheel and one extra; without torch for another Python than this one."""
    run(UV, "venv", "--quiet", "--python", python, folder, HOME=str(folder.parent))
    wanted = [f"{wheel}[{extra}]" if extra else str(wheel)]
    options: list[str | Path] = ["-c", ROOT / "constraints.txt"]
    if lowest:
        # Of a wheel only the wheel itself is direct.
        options = ["--resolution", "lowest-direct", "-c", listed(folder, pinned_torch())]
        wanted += ["-r", str(ROOT / "pyproject.toml")]
    if python != sys.executable:
        options += ["--overrides", listed(folder, "torch; sys_platform == 'none'")]
    run(UV, "pip", "install", "--quiet", *options, "--python", folder / "bin/python", *wanted, HOME=str(folder.parent))
    return folder / "bin/python"


def pinned_torch() -> str:
    """Any other torch brings gigabytes of CUDA."""
    return next(pin for pin in (ROOT / "constraints.txt").read_text().splitlines() if pin.startswith("torch=="))


def listed(folder: Path, requirement: str) -> Path:
    """A file with one requirement, beside a folder."""
    path = folder.with_suffix(".txt")
    path.write_text(requirement + "\n")
    return path


def interpreter(version: str) -> str | None:
    """A Python of this version that runs: this one, one on the path, or one of pyenv's; None where there is none."""
    if sys.version.startswith(version + "."):
        return sys.executable
    own = sorted((Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python"))
    for path in filter(None, [shutil.which(f"python{version}"), *map(str, own)]):
        asked = subprocess.run([path, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True)
        if not asked.returncode:
            return asked.stdout.strip()
    return None


def check_everywhere(wheel: Path, folder: Path) -> None:
    """The full form: every Python there is, each extra alone, the lowest versions; what cannot be had is said."""
    for version in PYTHONS:
        known = interpreter(version)
        if known is None:
            print(f"Python {version}: not found here, not tested")
            continue
        python = fresh(wheel, folder / f"py{version}", python=known)
        check_commands(python, folder / f"run{version}", COMMANDS if known == sys.executable else SYMBOLIC)
    for extra in EXTRAS:
        run(fresh(wheel, folder / extra, extra), "-c", "import workbench.cli, workbench.comparison", cwd=folder)
        print(f"extra {extra}: installs alone")
    check_commands(fresh(wheel, folder / "lowest", lowest=True), folder / "run-lowest")


def main() -> None:
    """Build, check, and leave both files in ``dist/``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    full = parser.parse_args().full
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wheel, sdist = build(folder / "dist")
        check_contents(wheel, sdist)
        check_commands(borrowed(wheel, folder / "borrowed"), folder / "run", COMMANDS + WITH_EXTRAS)
        if full:
            check_everywhere(wheel, folder)
        (ROOT / "dist").mkdir(exist_ok=True)
        for built in (wheel, sdist):
            shutil.copy(built, ROOT / "dist")
    print("dist/: ready")


if __name__ == "__main__":
    main()
