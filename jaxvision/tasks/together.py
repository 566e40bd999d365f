"""Several networks trained as one: compiled once, on the same batches."""

import optax

from jaxvision.errors import InputError
from jaxvision.training.run import Task


def together(tasks: dict[str, Task], tx: optax.GradientTransformation, hyper: dict) -> Task:
    """The networks of all tasks side by side, each as if it were trained alone with `tx` and `hyper`.

    Variables are {collection: {name: tree}}. The losses are added, so that the gradient of a network is that of its
    own; `tx` has to treat every parameter by itself, as all of `optimizers.OPTIMIZERS` do and clipping by a global
    norm doesn't. All start with one key and stop if one diverges. Metrics are "loss", the sum, and METRIC_NAME of
    each that is a mean. Raises InputError for no task.
    """
    if not tasks:
        raise InputError("together: no task, expected at least one")

    def init(key, hyper):
        return _by_collection({name: task.init(key, hyper) for name, task in tasks.items()})

    def loss_fn(params, model_state, batch, key, hyper):
        results = {
            name: task.loss_fn(params[name], _of_one(model_state, name), batch, key, hyper)
            for name, task in tasks.items()
        }
        losses = {name: losses for name, (losses, _) in results.items()}
        scalars = {name: {"loss": losses[name], **scalars} for name, (_, (_, scalars)) in results.items()}
        updated = _by_collection({name: state for name, (_, (state, _)) in results.items()})
        return sum(losses.values()), (updated, _by_metric(scalars))

    def metrics_fn(variables, batch):
        metrics = {
            name: _only_means(task.metrics_fn(_of_one(variables, name), batch)) for name, task in tasks.items()
        }
        sums, (count, *_) = zip(*(each["loss"] for each in metrics.values()))
        return {"loss": (sum(sums), count), **_by_metric(metrics)}

    return Task(init, loss_fn, tx, metrics_fn, hyper, {name: task.record for name, task in tasks.items()})


def _by_collection(variables):
    collections = dict.fromkeys(collection for tree in variables.values() for collection in tree)
    return {
        collection: {name: tree[collection] for name, tree in variables.items() if collection in tree}
        for collection in collections
    }


def _of_one(variables, name):
    return {collection: trees[name] for collection, trees in variables.items() if name in trees}


def _by_metric(metrics):
    return {f"{metric}_{name}": value for name, each in metrics.items() for metric, value in each.items()}


def _only_means(metrics):
    """Without the counts [K, K], which take as long to compile as all the rest."""
    return {metric: pair for metric, pair in metrics.items() if isinstance(pair, tuple)}
