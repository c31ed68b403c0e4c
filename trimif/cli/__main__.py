"""``python -m trimif.cli`` is ``trimif``."""

from trimif.cli import main

main()
