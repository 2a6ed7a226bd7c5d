"""Each digit on demand: three ways to tell a GAN which one is wanted.

Trains three small conditional DCGANs on the bundled digits (minigen/models/adversarial/conditional.py and dcgan.py):

* label input: both networks see the label beside their input;
* conditional batch norm and projection: the label chooses the generator's γ and β, and an inner product in the
  discriminator;
* auxiliary classifier: the generator sees the label, and the discriminator must name it.

Draws a grid of class × noise for each, and asks the digit classifier which digit each sample is: the share of samples
that are what was asked for, class by class. The derivation is in docs/gan.md.
"""
import functools

import numpy as np

import minigen as mg
from minigen import data
from minigen.demo import Demo
from minigen.models.adversarial import (ACGAN, ConditionalGAN, ImageGenerator, LabelInput, ProjectionGAN,
                                        image_discriminator, image_heads)
from minigen.recipes.sets import bundled_digits
from minigen.training import Adam, Trainer, schedules
from minigen.viz.figure import PALETTE, finish, new_axes

LATENTS, WIDTH, BATCH, CLASSES, SHAPE = 32, 16, 32, 10, (28, 28, 1)
STEPS, SAMPLES = 1000, 2000


def label_input(rng):
    """One-hot labels beside z, and as ten more channels of x."""
    G, D = rng.spawn(2)
    return ConditionalGAN(CLASSES, SHAPE, LATENTS,
                          generator=LabelInput(ImageGenerator(LATENTS + CLASSES, width=WIDTH, rng=G), CLASSES),
                          discriminator=LabelInput(image_discriminator((28, 28, 1 + CLASSES), WIDTH, rng=D), CLASSES))


def projection(rng):
    """Conditional batch norm in G, and D's features times a vector of the class."""
    G, D = rng.spawn(2)
    return ProjectionGAN(CLASSES, SHAPE, LATENTS,
                         generator=ImageGenerator(LATENTS, width=WIDTH, classes=CLASSES, rng=G),
                         discriminator=image_heads(CLASSES, width=WIDTH, rng=D))


def auxiliary_classifier(rng):
    """One-hot labels beside z, and a D that names the class."""
    G, D = rng.spawn(2)
    return ACGAN(CLASSES, SHAPE, LATENTS, discriminator=image_heads(CLASSES, width=WIDTH, rng=D),
                 generator=LabelInput(ImageGenerator(LATENTS + CLASSES, width=WIDTH, rng=G), CLASSES))


# and the rates of D and G in the beginning, chosen so that neither player runs away
KINDS = {"label input": (label_input, (2e-3, 2e-3)), "projection": (projection, (1e-3, 4e-3)),
         "auxiliary classifier": (auxiliary_classifier, (1e-3, 4e-3))}


def main():
    """Train the three, ask for every digit, draw."""
    with Demo("conditional_gan", __doc__) as demo:
        n, steps = (200, 12) if demo.smoke else (SAMPLES, STEPS)
        train, test = bundled_digits("train", demo.data), bundled_digits("test", demo.data)
        real, accuracy = data.to_unit(test["x"][:n]), {}
        accuracy["test digits"] = hits(real, test["y"][:n])
        for name, (build, rates) in KINDS.items():
            model = trained(build(mg.random.default_rng(demo.seed)), rates, train, steps, demo.seed)
            wanted = np.arange(n) % CLASSES
            fake = samples(model, wanted, demo.seed + 1)
            accuracy[name] = hits(fake, wanted)
            key = name.replace(" ", "_")
            demo.metric(f"accuracy_{key}", 100 * accuracy[name].mean(), "% of samples are the digit asked for")
            for metric, (value, unit) in mg.metrics.image_metrics(real, fake).items():
                if metric in ("digit_fid", "digit_precision", "digit_recall"):
                    demo.metric(f"{metric}_{key}", value, unit)
            draw_classes(model, accuracy[name].mean(), name, demo)
        draw_accuracy(accuracy, demo.path("accuracy.png"))


def trained(model, rates, train, steps, seed):
    """The model after so many steps, in evaluation mode. The rates fall to zero along half a cosine."""
    loader = data.Loader(train, BATCH, shuffle=True, seed=seed, drop_last=True, transform=data.on(x=data.to_unit))
    D, G = (functools.partial(Adam, lr=schedules.cosine(rate, steps), betas=(0.5, 0.99)) for rate in rates)
    Trainer(model, {"discriminator": D, "generator": G}, loader, seed=seed).run(steps)
    return model.eval()


def samples(model, labels, seed):
    """Images (N, 28, 28, 1) of these labels (N,), NumPy."""
    rng = mg.random.default_rng(seed)
    return np.concatenate([model.sample(len(part), rng=rng, labels=part).numpy()
                           for part in np.array_split(labels, max(1, len(labels) // 250))])


def hits(images, wanted):
    """Share of images of each class that the digit classifier takes for it, (classes,)."""
    found = mg.metrics.digit_features(images)[1].argmax(axis=1)
    return np.array([(found[wanted == k] == k).mean() for k in range(CLASSES)])


# ---- pictures --------------------------------------------------------------------------------------------------------
def draw_classes(model, accuracy, name, demo):
    """A row for each of eight noises, a column for each class: what of an image is z's, and what is y's."""
    z = mg.random.default_rng(demo.seed + 2).standard_normal((8, LATENTS)).numpy()
    with mg.no_grad():
        images = model.generate(mg.tensor(np.repeat(z, CLASSES, axis=0)), np.tile(np.arange(CLASSES), 8))
    mg.viz.image_grid(images, demo.path(f"classes_{name.replace(' ', '_')}.png"), columns=CLASSES,
                      heads=list(map(str, range(CLASSES))),
                      title=f"{name}: each row one noise, each column one digit asked for; {accuracy:.0%} are it")


def draw_accuracy(accuracy, path):
    """For each class and model the share of samples that are the digit asked for."""
    figure, axes = new_axes(8.4, 3.8, "digit asked for", "% that the classifier takes for it",
                            "Does it draw the digit that was asked for?")
    for i, (name, share) in enumerate(accuracy.items()):
        axes.bar(np.arange(CLASSES) + 0.2 * (i - 1.5), 100 * share, width=0.18, label=name,
                 color="#bbbbbb" if not i else PALETTE[i - 1])
    axes.set(xticks=range(CLASSES), ylim=(0, 100))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    finish(figure, path)


if __name__ == "__main__":
    main()
