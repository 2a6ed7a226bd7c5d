"""What commands and demos share: options, failures told in one line, and JSON files that are complete or absent."""
import argparse
import difflib
import json
import os
import pathlib
import re
import sys
import tempfile
import traceback


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors that suggest the nearest command or option."""

    def error(self, message):
        """Exit with status 2 and one line."""
        wrong = re.match(r"unrecognized arguments: (-[-\w]+)|.*invalid choice: '([^']*)'", message)
        if wrong:
            known = self._words(options=wrong[1] is not None)
            near = difflib.get_close_matches(wrong[1] or wrong[2], known, 1)
            message = message.partition(" (choose from")[0] + (f"; did you mean {near[0]!r}?" if near else
                                                               f"; known: {', '.join(known)}")
        self.exit(2, f"{self.prog}: {message}\n")

    def _words(self, options):
        """What could have been meant: all options, of the commands too; or the names of the commands."""
        commands = [action for action in self._actions if isinstance(action.choices, dict)]
        if not options:
            return [name for action in commands for name in action.choices]
        parsers = [self, *(parser for action in commands for parser in action.choices.values())]
        return sorted({option for parser in parsers for option in parser._option_string_actions})


# ---- types of options ------------------------------------------------------------------------------------------------
def at_least(least):
    """An option's type: integers from ``least`` on."""
    def integer(text):
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"wants an integer, got {text!r}") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {value}")
        return value

    return integer


def folder(text):
    """An option's type: a folder that exists."""
    if not os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"there is no folder {text!r}")
    return pathlib.Path(text)


def add_shared_options(parser):
    """``--seed``, ``--backend`` and ``--data``, which mean the same everywhere."""
    parser.add_argument("--seed", type=at_least(0), default=0, help="of everything random (default 0)")
    parser.add_argument("--backend", default="numpy", help="numpy or cupy (default numpy)")
    parser.add_argument("--data", type=folder, help="a folder with MNIST's IDX files, in place of the default data")


# ---- failures --------------------------------------------------------------------------------------------------------
def failure(name, error):
    """Tell an exception in one line on stderr, and return the exit status: 130 for Ctrl-C, else 1.

    With the environment variable ``MINIGEN_TRACEBACK=1`` the traceback is shown before the line.
    """
    if os.environ.get("MINIGEN_TRACEBACK", "0") != "0":
        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt):
        text = str(error) or "stopped"
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    elif isinstance(error, (ValueError, TypeError, RuntimeError, OSError, ArithmeticError)) and str(error):
        text = str(error)
    else:                                                        # a kind we did not foresee: its name may help
        text = f"{type(error).__name__}: {error} (MINIGEN_TRACEBACK=1 shows where)"
    print(f"{name}: {' '.join(text.split())}", file=sys.stderr)
    return 130 if isinstance(error, KeyboardInterrupt) else 1


# ---- files -----------------------------------------------------------------------------------------------------------
def writable_folder(path):
    """Make the folder if need be; find out now, not after an hour's work, whether it can be written. Raises OSError."""
    try:
        os.makedirs(path, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise OSError(f"cannot write in the folder {path} ({error.strerror}); choose another") from None
    return pathlib.Path(path)


def write_json(path, tree):
    """Write JSON so that the file appears complete or not at all. Raises ValueError for a number that is not finite."""
    path = pathlib.Path(path)
    text = json.dumps(tree, indent=2, allow_nan=False) + "\n"
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
