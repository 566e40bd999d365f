"""Every way to share a batch out over two devices."""

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

LAYOUTS = ["shard_map", "checked shard_map", "pmap", "sharded"]


def sums_and_gradients(case):
    def function(images, kernel):
        def loss(images, kernel):
            return jnp.sum(jnp.sin(case.conv2d(images, kernel)))

        total, (by_images, by_kernel) = jax.value_and_grad(loss, (0, 1))(images, kernel)
        return total, by_images, by_kernel

    return function


def over_two_devices(layout, function, images, kernel):
    """`function` of `sums_and_gradients` with the batch shared out."""
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,))
    own, shared = P("batch"), P()

    def reduced(images, kernel):
        total, by_images, by_kernel = function(images, kernel)
        if layout != "checked shard_map":  # that one sums the gradients of what is shared by itself
            by_kernel = jax.lax.psum(by_kernel, "batch")
        return jax.lax.psum(total, "batch"), by_images, by_kernel

    if layout == "sharded":
        arrays = [
            jax.device_put(array, NamedSharding(mesh, spec)) for array, spec in ((images, own), (kernel, shared))
        ]
        return jax.jit(function)(*arrays)
    if layout == "pmap":
        mapped = jax.pmap(reduced, axis_name="batch", in_axes=(0, None), out_axes=(None, 0, None))
        total, by_images, by_kernel = mapped(images.reshape(2, -1, *images.shape[1:]), kernel)
        return total, by_images.reshape(images.shape), by_kernel
    specs = {"in_specs": (own, shared), "out_specs": (shared, own, shared)}
    mapped = jax.shard_map(reduced, mesh=mesh, check_vma=layout == "checked shard_map", **specs)
    return jax.jit(mapped)(images, kernel)
