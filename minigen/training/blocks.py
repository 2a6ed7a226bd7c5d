"""Run an elementwise update over arrays, in place and without waiting for memory.

An optimiser's update reads and writes the same few arrays (θ, its gradient, its moments) in about ten passes. Over
arrays larger than the cache each pass would travel to memory and back. So on the CPU the update runs block after
block, and all of its passes over one block stay in the cache. Where there is a compiler for the device, it is compiled
into one loop or kernel (`Backend.in_place`). The update itself is written once, as the formula in place::

    def descend(xp, theta, g, lr):
        theta -= lr * g

    update = Blockwise(descend)
    update(xp, (theta, g), lr)
"""
BLOCK = 65536        # elements: 256 KiB of float32; θ, g, two moments and a temporary fit an L2 cache of 1 MiB or more


class Blockwise:
    """``update(xp, *arrays, *numbers)``, which changes some of the arrays in place, as a function of whole arrays.

    ``update`` must be elementwise. Every array has the same shape.
    """

    def __init__(self, update, block=BLOCK):
        self.update, self.block = update, block

    def __call__(self, xp, arrays, *numbers):
        if xp.in_place(self.update, *arrays, numbers=numbers):
            return
        size = arrays[0].size
        if size <= self.block or not all(a.flags.c_contiguous for a in arrays):
            self.update(xp, *arrays, *numbers)
            return
        flat = [a.reshape(-1) for a in arrays]                                # (n,): views, since contiguous
        for start in range(0, size, self.block):
            self.update(xp, *(a[start:start + self.block] for a in flat), *numbers)
