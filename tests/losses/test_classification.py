import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import entr, rel_entr

from jaxvision.errors import InputError
from jaxvision.losses import (
    binary_hinge,
    entropy,
    kl_divergence,
    multiclass_hinge,
    perceptron_criterion,
    softmax_cross_entropy,
)
from jaxvision.ops.activations import step
from tests.ops.numerics import assert_close

SLIDE = jnp.array([[3.2, 5.1, -1.7]])
SLIDES = jnp.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])  # cat, car, frog are 0, 1, 2


def test_course_example():
    """The slide's 0.89 is the logarithm to base 10."""
    np.testing.assert_allclose(jax.nn.softmax(SLIDE)[0], [0.13, 0.87, 0.00], atol=5e-3)
    loss = softmax_cross_entropy(SLIDE, jnp.array([0]))
    np.testing.assert_allclose(loss, [2.04], atol=5e-3)
    np.testing.assert_allclose(loss / np.log(10), [0.89], atol=5e-3)


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


def test_float64_logits_give_a_float64_loss():
    with jax.enable_x64(True):
        logits = jnp.array([[3.2, 5.1, -1.7]], jnp.float64)
        loss = softmax_cross_entropy(logits, jnp.array([0]), label_smoothing=0.3)
    assert loss.dtype == jnp.float64
    logs = np.asarray(logits)[0] - np.log(np.exp(np.asarray(logits)[0]).sum())
    np.testing.assert_allclose(loss, [-logs @ [0.8, 0.1, 0.1]], rtol=1e-14)


def distributions(seed, shape=(6, 5)):
    """Some with impossible outcomes."""
    rng = np.random.default_rng(seed)
    weights = rng.random(shape) * (rng.random(shape) < 0.7)
    weights[:, 0] += 0.1
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def test_entropies_by_hand():
    """Of a fair coin ln 2, of a sure thing 0; D_KL((1, 0) || (1/4, 3/4)) = ln 4."""
    np.testing.assert_allclose(entropy(jnp.array([[0.5, 0.5], [0.0, 1.0]])), [np.log(2), 0], rtol=1e-6)
    sure, rare = jnp.array([[1.0, 0.0]]), jnp.array([[0.25, 0.75]])
    np.testing.assert_allclose(kl_divergence(sure, rare), [np.log(4)], rtol=1e-6)
    assert kl_divergence(rare, sure) == jnp.inf


def test_entropies_are_scipys():
    p, q = distributions(0), np.asarray(jax.nn.softmax(jax.random.normal(jax.random.key(1), (6, 5))))
    np.testing.assert_allclose(entropy(jnp.array(p)), entr(p).sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(kl_divergence(jnp.array(p), jnp.array(q)), rel_entr(p, q).sum(axis=1), rtol=1e-4)


def test_cross_entropy_is_entropy_and_divergence():
    p, logits = jnp.array(distributions(2)), jax.random.normal(jax.random.key(3), (6, 5))
    both = entropy(p) + kl_divergence(p, jax.nn.softmax(logits))
    np.testing.assert_allclose(softmax_cross_entropy(logits, p), both, rtol=1e-5)


def test_gradients_of_entropies_are_finite_and_those_of_the_logarithms():
    """-log p - 1 where p is not 0; log(p / q) + 1 and -p / q."""
    p, q = jnp.array([[0.0, 0.25, 0.75]]), jnp.array([[0.0, 0.5, 0.5]])
    np.testing.assert_allclose(
        jax.grad(lambda p: entropy(p).sum())(p), [[0, -np.log(0.25) - 1, -np.log(0.75) - 1]], rtol=1e-6
    )
    at_p, at_q = jax.grad(lambda p, q: kl_divergence(p, q).sum(), (0, 1))(p, q)
    np.testing.assert_allclose(at_p, [[0, np.log(0.5) + 1, np.log(1.5) + 1]], rtol=1e-6)
    np.testing.assert_allclose(at_q, [[0, -0.5, -1.5]], rtol=1e-6)


@pytest.mark.parametrize("p", [jnp.nan, -0.1])
def test_what_is_no_probability_does_not_pass_silently(p):
    assert jnp.isnan(entropy(jnp.array([[p, 0.5]]))).all()
    assert jnp.isnan(kl_divergence(jnp.array([[p, 0.5]]), jnp.array([[0.5, 0.5]]))).all()


def test_perceptron_criterion_by_hand():
    """0 where the answer is right, -s t where it is wrong; over several outputs the sum."""
    scores, targets = jnp.array([2.0, -3.0, 0.5, -0.25]), jnp.array([1, -1, -1, 1])
    np.testing.assert_array_equal(perceptron_criterion(scores, targets), [0, 0, 0.5, 0.25])
    table = perceptron_criterion(scores.reshape(2, 2), targets.reshape(2, 2))
    np.testing.assert_array_equal(table, [0, 0.75])


@pytest.mark.parametrize("target", [-1.0, 1.0])
@pytest.mark.parametrize("weights", [[1.0, 1.0], [-1.0, -1.0], [2.0, -1.0], [-2.0, 1.0], [0.0, 0.0]])
def test_gradient_of_a_misclassified_example_is_minus_x_t(weights, target):
    """x = (1, 2): the third and fourth weights, and no weights at all, put it on the boundary, which answers +1."""
    x, weights = jnp.array([1.0, 2.0]), jnp.array(weights)

    def criterion(weights):
        return perceptron_criterion((x @ weights).reshape(1), jnp.array([target])).sum()

    is_wrong = step(x @ weights) != target
    np.testing.assert_array_equal(jax.grad(criterion)(weights), -x * target if is_wrong else 0 * x)


def test_descending_the_criterion_is_the_perceptron_rule_and_separates():
    """w <- w + rate x t on wrong examples; the exercise's two points end on their sides."""
    x, targets, rate = jnp.array([[0.3, -0.5], [-0.4, 1.0]]), jnp.array([1.0, -1.0]), 0.1
    weights = by_rule = jnp.array([-0.3, 0.2])
    for n in [0, 1] * 20:
        gradient = jax.grad(lambda w, n=n: perceptron_criterion(x[n : n + 1] @ w, targets[n : n + 1]).sum())(
            weights
        )
        weights = weights - rate * gradient
        by_rule = by_rule + (rate * x[n] * targets[n] if step(x[n] @ by_rule) != targets[n] else 0)
    np.testing.assert_allclose(weights, by_rule, rtol=1e-6)
    np.testing.assert_array_equal(step(x @ weights), targets)


def test_multiclass_hinge_of_the_course():
    losses = multiclass_hinge(SLIDES, jnp.array([0, 1, 2]))
    np.testing.assert_allclose(losses, [2.9, 0, 12.9], atol=1e-5)
    np.testing.assert_allclose(losses.mean(), 5.27, atol=5e-3)


def test_multiclass_hinge_of_another_margin():
    """5.1 - 3.2 + 2, and -1.7 - 3.2 + 2 < 0; without a margin only a higher score costs."""
    labels = jnp.array([0])
    np.testing.assert_allclose(multiclass_hinge(SLIDE, labels, margin=2.0), [3.9], rtol=1e-6)
    np.testing.assert_allclose(multiclass_hinge(SLIDE, labels, margin=0.0), [1.9], rtol=1e-6)


def test_gradient_of_multiclass_hinge():
    """Each class beyond the margin pushes its own score down and the label's up."""
    gradient = jax.grad(lambda scores: multiclass_hinge(scores, jnp.array([0, 1, 2])).sum())(SLIDES)
    np.testing.assert_array_equal(gradient, [[-1, 1, 0], [0, 0, 0], [1, 1, -2]])


def test_binary_hinge_by_hand():
    """1 - s t: a right answer inside the margin costs too; on the margin the gradient is 0."""
    scores, targets = jnp.array([2.0, 0.25, -1.0, 1.0]), jnp.array([1, 1, 1, 1])
    np.testing.assert_array_equal(binary_hinge(scores, targets), [0, 0.75, 2, 0])
    np.testing.assert_array_equal(binary_hinge(-scores, -targets), [0, 0.75, 2, 0])
    np.testing.assert_array_equal(binary_hinge(scores.reshape(2, 2), targets.reshape(2, 2)), [0.75, 2])
    gradient = jax.grad(lambda scores: binary_hinge(scores, targets).sum())(scores)
    np.testing.assert_array_equal(gradient, [0, -1, -1, 0])


def test_hinges_of_two_classes_agree():
    """With scores (0, s) the margin between classes 1 and 0 is s; optax knows the binary one."""
    scores = jax.random.normal(jax.random.key(4), (20,))
    labels = jnp.arange(20) % 2
    signs = 2.0 * labels - 1
    binary = binary_hinge(scores, signs)
    np.testing.assert_allclose(binary, optax.losses.hinge_loss(scores, signs), rtol=1e-6)
    both = multiclass_hinge(jnp.stack([jnp.zeros(20), scores], axis=1), labels)
    np.testing.assert_allclose(both, binary, rtol=1e-5, atol=1e-6)


PER_EXAMPLE = {
    "binary_hinge": (binary_hinge, SLIDES, jnp.sign(SLIDES)),
    "kl_divergence": (kl_divergence, jax.nn.softmax(SLIDES), jax.nn.softmax(-SLIDES)),
    "multiclass_hinge": (multiclass_hinge, SLIDES, jnp.array([0, 1, 2])),
    "perceptron_criterion": (perceptron_criterion, SLIDES, -jnp.sign(SLIDES)),
    "softmax_cross_entropy": (softmax_cross_entropy, SLIDES, jnp.array([0, 1, 2])),
}


@pytest.mark.parametrize("name", PER_EXAMPLE)
def test_each_example_has_its_own_loss(name):
    """Plain, jitted and one by one; bfloat16 scores give float32 losses."""
    loss, scores, targets = PER_EXAMPLE[name]
    plain = loss(scores, targets)
    assert plain.shape == (3,)
    assert_close(jax.jit(loss)(scores, targets), plain, 1e-6)
    alone = jax.vmap(lambda score, target: loss(score.reshape(1, -1), target.reshape(1, *target.shape))[0])
    assert_close(alone(scores, targets), plain, 1e-6)
    assert loss(scores.astype(jnp.bfloat16), targets).dtype == jnp.float32


@pytest.mark.parametrize("target", [0.0, 2.0, jnp.nan])
def test_a_target_that_is_no_sign_does_not_pass_silently(target):
    for score in (-2.0, 0.0, 2.0):
        for loss in (perceptron_criterion, binary_hinge):
            assert jnp.isnan(loss(jnp.array([score]), jnp.array([target]))).all()


def test_scores_that_are_nan_do_not_pass_silently():
    nan = jnp.array([[jnp.nan, jnp.nan]])
    for targets in (jnp.array([[1, 1]]), jnp.array([[-1, -1]])):
        assert jnp.isnan(perceptron_criterion(nan, targets)).all()
        assert jnp.isnan(binary_hinge(nan, targets)).all()
    assert jnp.isnan(multiclass_hinge(nan, jnp.array([0]))).all()


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_without_a_class_has_no_hinge(label):
    assert jnp.isnan(multiclass_hinge(SLIDE, jnp.array([label]))).all()


def test_shapes_that_would_broadcast():
    for loss in (perceptron_criterion, binary_hinge):
        with pytest.raises(InputError, match=r"scores of shape \[3, 3\] and targets of shape \[3\]"):
            loss(SLIDES, jnp.ones(3))
    with pytest.raises(InputError, match=r"p of shape \[3, 3\] and q of shape \[1, 3\]"):
        kl_divergence(SLIDES, SLIDE)
    for scores in (SLIDE, SLIDE[0]):
        with pytest.raises(InputError, match=r"expected \[B, K\] and \[B\]"):
            multiclass_hinge(scores, jnp.zeros((2,), int))


@pytest.mark.parity
@pytest.mark.parametrize("margin", [1.0, 0.3])
def test_multiclass_hinge_is_torchs(margin):
    """torch divides by the number of classes."""
    import torch

    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(50, 6)).astype(np.float32), rng.integers(6, size=50)
    ours = multiclass_hinge(jnp.array(scores), jnp.array(labels), margin=margin)
    theirs = torch.nn.MultiMarginLoss(margin=margin, reduction="none")(
        torch.from_numpy(scores), torch.from_numpy(labels)
    )
    np.testing.assert_allclose(ours, 6 * theirs.numpy(), rtol=1e-5, atol=1e-6)
