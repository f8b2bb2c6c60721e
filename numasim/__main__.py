"""``python -m numasim`` is the ``numasim`` command."""

from numasim.cli import main

if __name__ == "__main__":
    main()
