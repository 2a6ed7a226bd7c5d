"""What the Trainer does with a model's objectives beside moving them: match, check, average."""
from minigen.tensor import Tensor
from minigen.training.log import RESERVED
from minigen.training.optim import Optimizer


def match_optimizers(objectives, optimizers):
    """{objective's name: Optimizer}, after checking that each optimiser has its objective's parameters."""
    names = [objective.name for objective in objectives]
    if len(set(names)) != len(names) or not names:
        raise ValueError(f"Trainer: a model's objectives need different names, got {names}")
    if isinstance(optimizers, Optimizer) and len(names) > 1:
        raise ValueError(f"Trainer: the model has the objectives {names}; give a dict with an optimiser for each")
    table = optimizers if isinstance(optimizers, dict) else dict.fromkeys(names, optimizers)
    if set(table) != set(names):
        raise ValueError(f"Trainer: the model's objectives are {names}, the optimisers are for {list(table)}")
    matched = {}
    for objective in objectives:
        make = table[objective.name]
        optimizer = matched[objective.name] = make if isinstance(make, Optimizer) else make(objective.parameters)
        if {id(p) for p in optimizer.parameters} != {id(p) for p in objective.parameters}:
            raise ValueError(f"Trainer: the optimiser of {objective.name!r} has {len(optimizer.parameters)} parameters "
                             f"that are not the {len(objective.parameters)} of the objective; make it from those")
    return matched


def check_terms(objective, terms):
    """Raise TypeError or ValueError unless ``terms``, made by this objective, are scalars, with a loss to minimise."""
    where = f"objective {objective!r}"
    if not isinstance(terms, dict) or not isinstance(terms.get("loss"), Tensor):
        raise TypeError(f"{where}: loss(batch, rng) must return a dict with a Tensor 'loss', got {type(terms).__name__}"
                        + (f" with {sorted(terms)}" if isinstance(terms, dict) else ""))
    for name, value in terms.items():
        if isinstance(value, Tensor) and value.size != 1:
            raise ValueError(f"{where}: the term {name!r} has shape {value.shape}, wants one number; average it")
    if not RESERVED.isdisjoint(terms):
        raise ValueError(f"{where}: no term may be called {sorted(RESERVED & set(terms))[0]!r}; the log uses that name")
    if not terms["loss"].requires_grad:
        raise ValueError(f"{where}: the loss depends on nothing that requires grad, so nothing would be trained; was "
                         "it detached, or computed inside no_grad()?")


def average_terms(objectives, loader, rng):
    """The objectives' terms, averaged over the examples of a loader's first epoch; noise is drawn from ``rng``.

    Gradients are recorded here too, because some losses need one (a gradient penalty, score matching).
    """
    totals, examples = {}, 0
    for batch in loader.epoch(0):
        n = len(next(iter(batch.values())))
        examples += n
        for objective in objectives:
            prefix = f"{objective.name}/" if len(objectives) > 1 else ""
            for name, value in objective.loss(batch, rng).items():
                totals[prefix + name] = totals.get(prefix + name, 0.0) + n * float(value)
    return {name: total / examples for name, total in totals.items()}
