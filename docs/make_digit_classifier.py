"""Train the classifier behind the digit metrics, and write its weights where the package keeps them.

    python docs/make_digit_classifier.py [--data FOLDER] --out runs/digit-classifier

FOLDER holds the four IDX files of MNIST, gzipped or plain; without it, MNIST is found or downloaded as by
`minigen.data.mnist`. This is ``minigen train digit-classifier`` with its own seed and steps, then its evaluation, then
the file minigen/metrics/weights/digit_classifier.npz. A run that was interrupted goes on where it stopped. Another BLAS
or processor rounds otherwise, and gives other weights of the same quality.
"""
import argparse
from pathlib import Path

import numpy as np

import minigen as mg
from minigen.metrics.classifier import WEIGHTS


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with MNIST's IDX files")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint and log")
    options = parser.parse_args()
    recipe = mg.recipes.get("digit-classifier")
    trainer = recipe.trainer(options.out, seed=0, folder=options.data, existing="resume")
    trainer.run(recipe.steps)
    for name, figure in recipe.evaluate(trainer.model.eval(), options.data).items():
        print(f"{name}: {figure['value']:.4f} {figure['unit']}")
    WEIGHTS.parent.mkdir(exist_ok=True)
    np.savez(WEIGHTS, **trainer.model.state_dict())                             # arrays alone: no pickle
    print(f"{WEIGHTS}: {WEIGHTS.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
