"""The workloads. Each file has ``minigen()`` and ``torch()``, which return (step, number of parameters, loss): a
function that makes one training step, and the loss of the first batch with injected noise, by which the two sides are
compared."""
