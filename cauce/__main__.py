"""The installed command: `cauce` starts the service, `cauce demo` runs the example."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def application() -> Path:
    """Return the folder of the application: inside the package, or the checkout around it."""
    packed = HERE / "_app"
    return packed if packed.is_dir() else HERE.parent


def main() -> int:
    """Run `start_service.py` with the given words and return its exit code.

    A process of its own, since the application's modules have common names (`config`, `tasks`)
    and are found only in the folder that it runs from.
    """
    script = application() / "start_service.py"
    service = subprocess.Popen([sys.executable, str(script), *sys.argv[1:]])  # noqa: S603 (ours)
    while True:
        try:
            return service.wait()
        except KeyboardInterrupt:
            continue  # the service got it too, and stops in order


if __name__ == "__main__":
    sys.exit(main())
