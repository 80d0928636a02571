"""Title, caption and description of every figure of a study."""

from __future__ import annotations

import xarray as xr

from workbench.figures import Words


def words(name: str, ds: xr.Dataset) -> Words:
    """Title, caption, and a description for those who cannot see the figure."""
    title, caption, alt = _WORDS[name]
    return Words(title, caption.format(chains=ds.attrs["chains"], checkpoints=ds.sizes["time"]), alt)


_WORDS = {
    "class_loss": (
        "Loss by class",
        "Mean loss of the tokens of every class on held-out documents while the transformer learns. Dots: half of a "
        "class's gain is made.",
        "Falling curves of the loss of every class over training steps, each with its own stage.",
    ),
    "influence_over_training": (
        "Influence class to class over training",
        "Minus the mean correlation of the losses of distinct tokens of two classes under the local posterior; bars "
        "are two standard errors from {chains} independent chains around one trained network. Below zero more weight "
        "on the one helps the other. Dashed: the loss switched off (n beta = 0). Dotted: the gradient kernel (mean "
        "cosine), the first-order prediction. Grey band: class labels permuted, two standard deviations. Vertical "
        "lines: half of the gain of the two classes is made.",
        "Small multiples of influence between classes over training steps with error bars.",
    ),
    "influence_matrices": (
        "Class by class at stages",
        "Influence of every class (row) on every other (column) at five checkpoints; blue helps, orange harms. Entries "
        "within two standard errors of zero are left grey. Colours go by the square root, so that small ones show.",
        "Matrices of influence between classes of tokens at five checkpoints.",
    ),
    "circuits": (
        "Circuits and the learning coefficient",
        "Attention of every head to the token that followed the present one before (prefix matching; grey dashes: even "
        "attention), to the previous token, and the local learning coefficient n beta (E L - L(w*)) with two standard "
        "errors. Away from a minimum of the loss it measures no volume and may be negative.",
        "Three panels over training steps: prefix matching, previous-token attention, learning coefficient.",
    ),
    "kernel_beside": (
        "Sampled influence beside the gradient kernel",
        "Every pair of classes at every one of {checkpoints} checkpoints: sampled influence against the kernel, with "
        "the loss switched off (left) and on (right). Bars are two standard errors. On the line the first-order "
        "prediction holds.",
        "Two scatter plots of sampled group influence against the kernel.",
    ),
    "text": (
        "The text, token by token",
        "One document at three checkpoints: influence between every token's loss and that of the framed token. Blue "
        "helps, orange harms. No error bars here: single pairs of tokens are noisy.",
        "A document of tokens coloured by their influence on a chosen token at three checkpoints.",
    ),
}
