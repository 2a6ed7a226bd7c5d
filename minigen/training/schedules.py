r"""Learning rates as functions of the step: ``Adam(parameters, lr=cosine(1e-3, steps=10_000))``.

A schedule is a plain function from the number of steps taken (0, 1, 2, …) to a learning rate. It remembers nothing,
so a run that resumes at step t continues with the rate of step t. With η the peak rate:

    constant    η
    step        η · γ^⌊t / k⌋                                                                                   (1)
    cosine      η_end + ½ (η − η_end)(1 + cos(π t / T))  up to t = T, then η_end                                (2)
                (Loshchilov and Hutter 2016, arXiv:1608.03983, without restarts)
    warm_up     schedule(t) · min(1, (t + 1) / W)                                                               (3)
                (Goyal et al. 2017, arXiv:1706.02677); it multiplies any of the others, whose t keeps counting
"""
import difflib
import math


def constant(lr):
    """η at every step."""
    _check("constant", lr=lr)
    return lambda t: lr


def step(lr, every, factor=0.1):
    """η, multiplied by γ = ``factor`` after each k = ``every`` steps, Eq. (1)."""
    _check("step", lr=lr, every=every, factor=factor)
    return lambda t: lr * factor ** (t // every)


def cosine(lr, steps, end=0.0):
    """From η down to η_end = ``end`` along half a cosine over T = ``steps`` steps, Eq. (2)."""
    _check("cosine", lr=lr, steps=steps, end=end)
    return lambda t: end + 0.5 * (lr - end) * (1 + math.cos(math.pi * min(t / steps, 1.0)))


def warm_up(schedule, steps):
    """``schedule`` (a function or a number) times a ramp from 1/W to 1 over the first W = ``steps`` steps, Eq. (3)."""
    _check("warm_up", steps=steps)
    schedule = schedule if callable(schedule) else constant(schedule)
    return lambda t: schedule(t) * min(1.0, (t + 1) / steps)


SCHEDULES = {"constant": constant, "step": step, "cosine": cosine}


def make(name, *, warm_up_steps=0, **settings):
    """A schedule by its name: ``make("cosine", lr=1e-3, steps=10_000, warm_up_steps=500)``.

    Raises ValueError for an unknown name, TypeError for settings that the schedule does not have.
    """
    if name not in SCHEDULES:
        near = difflib.get_close_matches(str(name), SCHEDULES, 1)
        raise ValueError(f"no schedule is called {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
                         + f" Known: {', '.join(SCHEDULES)}")
    schedule = SCHEDULES[name](**settings)
    return warm_up(schedule, warm_up_steps) if warm_up_steps else schedule


def _check(name, **settings):
    """Rates and factors are numbers ≥ 0, counts of steps are > 0."""
    for setting, value in settings.items():
        least = value > 0 if setting in ("steps", "every") else value >= 0
        if not (least and math.isfinite(value)):
            range_ = "> 0" if setting in ("steps", "every") else "≥ 0"
            raise ValueError(f"{name}: {setting} must be a finite number {range_}, got {value}")
