"""A score is the accuracy and the cross-entropy over all images, however they are batched."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss

from crlso.supernet.augment import Augmentation
from crlso.supernet.data import Batches, Part
from crlso.supernet.scoring import score

CLASSES = 5


def scored(logits, labels, batch):
    """The score of a network that knows an image by its brightness."""
    number = torch.arange(len(labels), dtype=torch.uint8)
    part = Part(number[:, None, None, None].expand(-1, 1, 2, 2).contiguous(), labels)
    batches = Batches(part, batch, 0, Augmentation(torch.zeros(1), torch.ones(1)))
    return score(lambda x: logits[(x[:, 0, 0, 0] * 255).round().long()], batches)


@settings(max_examples=50)
@given(count=st.integers(1, 60), batch=st.integers(1, 70), scale=st.floats(0, 4), seed=st.integers(0, 2**31))
def test_a_score_is_that_of_scikit_learn_whatever_the_batch(count, batch, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(count, CLASSES, generator=generator)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    found, shares = scored(logits, labels, batch), logits.double().softmax(dim=1).numpy()
    assert found.accuracy == pytest.approx(100 * accuracy_score(labels, logits.argmax(dim=1)))
    assert found.loss == pytest.approx(log_loss(labels, shares, labels=range(CLASSES)), rel=1e-5, abs=1e-6)


def test_narrow_logits_are_scored_in_single_precision():
    logits = torch.randn(50, CLASSES, generator=torch.Generator().manual_seed(0)).bfloat16()
    labels = torch.arange(50) % CLASSES
    assert scored(logits, labels, 8) == scored(logits.float(), labels, 8)


def test_nothing_is_kept_for_a_backward_pass():
    network, graphs = torch.nn.Linear(4, CLASSES), []

    def forward(x):
        logits = network(x.flatten(1))
        graphs.append(logits.requires_grad)
        return logits

    part = Part(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.arange(3))
    score(forward, Batches(part, 2, 0, Augmentation(torch.zeros(1), torch.ones(1))))
    assert graphs == [False, False]
