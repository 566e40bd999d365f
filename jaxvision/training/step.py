"""One update of the parameters, written for one device's part of the batch."""

import jax
import jax.numpy as jnp
import optax

from jaxvision.batch_axis import sum_over_batch
from jaxvision.materialise import materialise
from jaxvision.metrics import masked_sum
from jaxvision.training.state import State, inject_hyper


def make_train_step(loss_fn, tx: optax.GradientTransformation):
    """The per-device train step for a loss.

    Args:
      loss_fn: `loss_fn(params, model_state, batch, key, hyper) -> (losses [B], (model_state, scalars))`, with
        `scalars` a dictionary of further numbers per example, [B] each, to be averaged and logged.
      tx: the optimiser.

    Returns:
      `step(state, batch, expected_step) -> (state, metrics)`, pure, to be bound by `parallel`. `batch` is this
      device's part; its optional entry "mask" [B] is 0 for rows that are no examples. Metrics are (sum, count)
      over the global batch, and "bad_step" (int32): the step whose loss or gradient was not finite, else -1.

      A bad step leaves the state as it was. The state then stays behind `expected_step`, and every later step
      of the same dispatch does nothing, so no batch is trained on out of turn.
    """

    update = optax.with_extra_args_support(tx).update  # `schedules.plateau` goes by the loss

    def step(state: State, batch: dict, expected_step: jax.Array):
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)

        def total_loss(params):
            losses, (model_state, scalars) = loss_fn(params, state.model_state, batch, key, state.hyper)
            mask = batch.get("mask", jnp.ones_like(losses))
            sums = {name: masked_sum(values, mask) for name, values in {**scalars, "loss": losses}.items()}
            return sums["loss"][0], (model_state, sums)

        # The gradient of the local sum, then one reduction: a psum inside would be transposed to another psum.
        gradients, (model_state, sums) = jax.grad(total_loss, has_aux=True)(state.params)
        gradients, sums = sum_over_batch((gradients, sums))
        loss, count = sums["loss"]
        gradients = jax.tree.map(lambda gradient: gradient / count, gradients)

        opt_state = inject_hyper(state.opt_state, state.hyper)
        updates, opt_state = update(gradients, opt_state, state.params, value=loss / count)
        params = optax.apply_updates(state.params, updates)

        finite = jnp.isfinite(loss) & all_finite(gradients)
        in_turn = state.step == expected_step
        applied = finite & in_turn

        def if_applied(new, old):
            return jax.tree.map(lambda new, old: jnp.where(applied, new, old), new, old)

        # The parameters first, or XLA copies what the optimiser keeps, to update it before the parameters read it.
        params, applied = materialise((if_applied(params, state.params), applied))
        state = state.replace(
            step=state.step + applied,
            params=params,
            model_state=if_applied(model_state, state.model_state),
            opt_state=if_applied(opt_state, state.opt_state),
        )
        metrics = jax.tree.map(lambda total: jnp.where(applied, total, jnp.zeros_like(total)), sums)
        metrics["bad_step"] = jnp.where(in_turn & ~finite, expected_step, -1)
        return state, metrics

    return step


def all_finite(tree) -> jax.Array:
    """Whether no element is NaN or infinite. Unlike a norm, these reductions vectorise on a CPU.

    The leaves are searched for the first that is not finite because XLA would take a conjunction apart and compute
    all of it anew for every array of the state: three times the code to compile for a ResNet-20.
    """
    finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]
    first_bad = jnp.argmin(jnp.stack([*finite, jnp.array(False)]))
    return first_bad == len(finite)
