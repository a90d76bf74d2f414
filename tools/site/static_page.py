"""The page of `lstmgen serve` as files that any web server can offer: it runs in the browser alone.

python tools/site/static_page.py FOLDER              the bundled models
python tools/site/static_page.py FOLDER my.bin ...   others

FOLDER then has the page, the engine as WebAssembly, and the models. Nothing of what a visitor does
leaves the browser. Browsers load no modules from a folder on a disk; to try it here:
python -m http.server --directory FOLDER
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from lstmgen import Model
from lstmgen.bundled import bundled
from lstmgen.serving.models import primes

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "python" / "lstmgen" / "serving" / "page"
ENGINE = ROOT / "web"
PARTS = ("lstmgen.js", "remote.js", "worker.js", "lstmgen.wasm")


def build(folder: Path, models: dict[str, Path], engine: Path = ENGINE) -> None:
    """Write the page into a folder, which is made if it is missing.

    models: paths of `.bin` files under the names that the page shows, the first one first.
    engine: the folder of the WebAssembly module.

    Raises `FileNotFoundError` for a part or a model that is missing.
    """
    missing = [path for path in (*(engine / part for part in PARTS), *models.values()) if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"{missing[0]}: there is no such file; web/README.md says how the engine is built")
    shutil.copytree(PAGE, folder, dirs_exist_ok=True)
    for part in PARTS:
        shutil.copy(engine / part, folder)
    (folder / "models").mkdir(exist_ok=True)
    listed = []
    for name, path in models.items():
        shutil.copy(path, folder / "models" / f"{name}.bin")
        listed.append({"name": name, "url": f"models/{name}.bin", "primes": primes(Model(path))})
    config = json.dumps({"engine": "local", "models": listed}, indent=2)
    (folder / "config.json").write_text(f"{config}\n", encoding="utf-8")


def main() -> None:
    """Read the command line, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", type=Path, nargs="*")
    parser.add_argument("--engine", type=Path, default=ENGINE, help="the folder of the WebAssembly module")
    args = parser.parse_args()
    given = {path.stem: path for path in args.models}
    names = sorted(bundled(), key=lambda name: name != "latex")  # the page begins with the first one
    build(args.folder, given or {name: Path(bundled()[name]) for name in names}, args.engine)


if __name__ == "__main__":
    main()
