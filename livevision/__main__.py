"""`python -m livevision`, the same as the command `livevision`."""

import sys

from livevision.cli import main

if __name__ == "__main__":
    sys.exit(main())
