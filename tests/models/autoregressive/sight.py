"""What the pixels of an image see of each other, by a Jacobian, and pictures of it to compare with."""
import numpy as np

import minigen as mg


def shaken(model, seed=0):
    """The model in float64 with random parameters, so that nothing is small or zero."""
    rng = np.random.default_rng(seed)
    values = {name: 0.5 * rng.standard_normal(p.shape) for name, p in model.astype("float64").named_parameters()}
    model.load_state_dict(values)
    return model


def seen(model, images=12):
    """Booleans (H, W, C, H, W, C): does the output at the first place depend on the input at the second?

    A union over a few images of real numbers, since at one of them a ReLU may be closed.
    """
    x = mg.tensor(np.random.default_rng(1).standard_normal((images, *model.event_shape)), requires_grad=True)
    out, found = model.logits(x), np.zeros(model.event_shape * 2, bool)
    for place in np.ndindex(model.event_shape):
        c = np.zeros(out.shape)
        c[(slice(None), *place)] = 1.0
        found[place] = (mg.grad(out, x, mg.tensor(c), retain_graph=True).numpy() != 0).any(axis=0)
    return found


def region(shape, rule):
    """The same by a rule: is the input d rows up and k columns to the right seen? Outside of the image there is none.

    Channels of other pixels are seen by all, those of the own pixel by those after them.
    """
    found = np.zeros(shape * 2, bool)
    for r, c, a, y, x, b in np.ndindex(shape * 2):
        found[r, c, a, y, x, b] = b < a if (y, x) == (r, c) else bool(rule(r - y, x - c))
    return found


def before(d, k):
    """Is it an earlier pixel at all?"""
    return d > 0 or (d == 0 and k < 0)
