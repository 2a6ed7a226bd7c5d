"""The benchmark's modules find each other by plain names, as when it runs as a script."""
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parent))
