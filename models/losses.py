"""The training losses, in `keras.ops` only, so that they run under TensorFlow, JAX and PyTorch alike.

All take batches (n, h, w[, c]) and return one value a sample (n,), so that a sample without a label weighs nothing.
"""

from keras import ops

KEEP = (4, 5)  # the four fifths of smallest residuals count, as in Ranftl et al. 2020 (MiDaS), "trimmed MAE"
GRADIENT_SCALES = 4  # the same paper's number of pyramid levels
EPSILON = 1e-6


def _flat(x):
    return ops.reshape(x, (ops.shape(x)[0], -1))


def standardised(depth):
    """Inverse depth (n, h, w) less its median, over its mean absolute deviation: free of unknown scale and shift."""
    flat = _flat(depth)
    median = ops.median(flat, axis=1, keepdims=True)
    deviation = ops.mean(ops.abs(flat - median), axis=1, keepdims=True)
    return (depth - median[:, :, None]) / (deviation[:, :, None] + EPSILON)


def scale_shift_invariant(predicted, truth):
    """Trimmed mean absolute error of standardised inverse depths (n, h, w) (Ranftl et al. 2020, eq. 5 to 7)."""
    residual = ops.sort(_flat(ops.abs(predicted - truth)), axis=1)
    keep = ops.shape(residual)[1] * KEEP[0] // KEEP[1]
    return ops.mean(residual[:, :keep], axis=1)


def multi_scale_gradient(predicted, truth):
    """Mean absolute difference of image gradients over a pyramid (ibid., eq. 11): outlines where the truth has them."""
    difference, total = predicted - truth, 0.0
    for scale in range(GRADIENT_SCALES):
        d = difference[:, :: 2**scale, :: 2**scale]
        total += ops.mean(ops.abs(d[:, 1:] - d[:, :-1]), axis=(1, 2)) + ops.mean(ops.abs(d[:, :, 1:] - d[:, :, :-1]), axis=(1, 2))
    return total


def region_cross_entropy(logits, labels, class_weights, ignore=255):
    """Cross-entropy of (n, h, w, c) logits against (n, h, w) integer labels; pixels labelled `ignore` do not count."""
    labels = ops.cast(labels, "int32")
    known = ops.cast(labels != ignore, "float32")
    one_hot = ops.one_hot(ops.where(labels == ignore, 0, labels), logits.shape[-1])
    weights = ops.sum(one_hot * ops.convert_to_tensor(class_weights, "float32"), axis=-1) * known
    loss = -ops.sum(one_hot * ops.log_softmax(logits, axis=-1), axis=-1)
    return ops.sum(loss * weights, axis=(1, 2)) / (ops.sum(weights, axis=(1, 2)) + 1.0)


def region_overlap(logits, labels, ignore=255):
    """One minus the soft intersection over union of the person and of the head, each where it is: a far-away person counts
    as much as a near one, and so does the outline (Rahman and Wang 2016). Shapes as in `region_cross_entropy`."""
    labels = ops.cast(labels, "int32")
    known = ops.cast(labels != ignore, "float32")
    probabilities = ops.softmax(logits, axis=-1)
    total = count = 0.0
    for predicted, is_there in (
        (1.0 - probabilities[..., 0], ops.logical_and(labels > 0, labels != ignore)),
        (probabilities[..., 2], labels == 2),
    ):
        truth = ops.cast(is_there, "float32")
        shared = ops.sum(predicted * truth * known, axis=(1, 2))
        union = ops.sum((predicted + truth - predicted * truth) * known, axis=(1, 2))
        present = ops.cast(ops.sum(truth, axis=(1, 2)) > 0, "float32")
        total, count = total + present * (1.0 - shared / (union + 1.0)), count + present
    return total / (count + EPSILON)


def fixation(logits, density):
    """KL divergence plus one minus the correlation of a fixation density (n, h, w) with softmax(logits).

    The pair of measures that fixation benchmarks are scored by (Bylinskii et al. 2019); KL alone under-rewards the mode.
    """
    log_p = ops.log_softmax(_flat(logits), axis=1)
    q = _flat(density) + EPSILON
    q = q / ops.sum(q, axis=1, keepdims=True)
    kl = ops.sum(q * (ops.log(q) - log_p), axis=1)
    p = ops.exp(log_p)
    dp, dq = p - ops.mean(p, axis=1, keepdims=True), q - ops.mean(q, axis=1, keepdims=True)
    scale = ops.sqrt(ops.sum(dp * dp, axis=1) * ops.sum(dq * dq, axis=1) + 1e-16)
    return kl + 1.0 - ops.sum(dp * dq, axis=1) / scale


def salient_object(logits, mask):
    """Binary cross-entropy plus soft-IoU loss of (n, h, w) logits against a mask in [0, 1] (Qin et al. 2019, BASNet)."""
    p = ops.sigmoid(logits)
    entropy = ops.mean(ops.softplus(logits) - logits * mask, axis=(1, 2))
    intersection = ops.sum(p * mask, axis=(1, 2))
    union = ops.sum(p + mask - p * mask, axis=(1, 2))
    return entropy + 1.0 - (intersection + 1.0) / (union + 1.0)
