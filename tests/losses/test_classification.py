import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.losses import softmax_cross_entropy

SLIDE = jnp.array([[3.2, 5.1, -1.7]])


def test_course_example():
    np.testing.assert_allclose(jax.nn.softmax(SLIDE)[0], [0.13, 0.87, 0.00], atol=5e-3)
    np.testing.assert_allclose(softmax_cross_entropy(SLIDE, jnp.array([0])), [2.04], atol=5e-3)


def test_gradient_is_p_minus_t():
    targets = jnp.array([[0.2, 0.5, 0.3]])
    gradient = jax.grad(lambda logits: softmax_cross_entropy(logits, targets).sum())(SLIDE)
    np.testing.assert_allclose(gradient, jax.nn.softmax(SLIDE) - targets, atol=1e-6)


def test_numbers_equal_one_hot_targets():
    logits = jax.random.normal(jax.random.key(0), (5, 4))
    labels = jnp.array([0, 3, 1, 2, 2])
    for smoothing in (0.0, 0.1):
        np.testing.assert_allclose(
            softmax_cross_entropy(logits, labels, label_smoothing=smoothing),
            softmax_cross_entropy(logits, jax.nn.one_hot(labels, 4), label_smoothing=smoothing),
            rtol=1e-6,
        )


def test_label_smoothing():
    """0.7 + 0.3 / 3 = 0.8 for the label, 0.1 for each other class."""
    np.testing.assert_allclose(
        softmax_cross_entropy(SLIDE, jnp.array([0]), label_smoothing=0.3),
        softmax_cross_entropy(SLIDE, jnp.array([[0.8, 0.1, 0.1]])),
        rtol=1e-6,
    )


def test_bfloat16_logits_give_a_float32_loss():
    logits = jax.random.normal(jax.random.key(0), (3, 1000)).astype(jnp.bfloat16)
    labels = jnp.arange(3)
    loss = softmax_cross_entropy(logits, labels)
    assert loss.dtype == jnp.float32
    wide = np.asarray(logits, np.float64)
    expected = np.log(np.exp(wide).sum(-1)) - wide[np.arange(3), np.arange(3)]
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_without_a_class_does_not_pass_silently(label):
    assert jnp.isnan(softmax_cross_entropy(SLIDE, jnp.array([label]))).all()
