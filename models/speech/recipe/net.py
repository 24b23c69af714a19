"""The network: a factorised TDNN with 40 mel energies every 10 ms as input and phone scores every 30 ms as output.

Each phone has two outputs, one for its first 30 ms and one for the rest; silence has one. A second head tells speech from
silence: it scores the garbage phone of [unk].
"""
import torch
from torch import nn
from torch.nn import functional as F

from .features import BINS
from .lexicon import PHONES

SUBSAMPLING = 3
SILENCE_PDF = 2 * len(PHONES)
PDFS = SILENCE_PDF + 1  # of the main head

WIDTH, BOTTLENECK = 512, 128
EDGE = 3  # frames before and after that the first layer sees
# (frames back, frames ahead) of each block: frames ahead add latency, frames back do not.
BLOCKS = ((3, 3), (3, 3), (3, 0), (3, 0), (6, 0), (6, 0), (6, 0), (6, 0))
BYPASS = 0.66
LEFT = EDGE + sum(back for back, _ in BLOCKS)
RIGHT = EDGE + sum(ahead for _, ahead in BLOCKS)


class Norm(nn.BatchNorm1d):
    """Over the last dimension; much faster than permuting the tensor."""

    def forward(self, x):
        return super().forward(x.flatten(0, 1)).view(x.shape)


def spliced(x, steps, weight, bias=None):
    """A layer that sees now and `steps` steps earlier, first the earlier: [batch, n, in] -> [batch, n - steps, out]."""
    half = weight.shape[1] // 2
    return F.linear(x[:, :-steps], weight[:, :half]) + F.linear(x[:, steps:], weight[:, half:], bias)


class Block(nn.Module):
    def __init__(self, back, ahead):
        super().__init__()
        self.back, self.ahead = back // SUBSAMPLING, ahead // SUBSAMPLING
        self.linear = nn.Linear(2 * WIDTH, BOTTLENECK, bias=False)
        self.affine = nn.Linear((2 if ahead else 1) * BOTTLENECK, WIDTH)
        self.norm = Norm(WIDTH)

    def forward(self, x):
        z = spliced(x, self.back, self.linear.weight)
        y = spliced(z, self.ahead, self.affine.weight, self.affine.bias) if self.ahead else self.affine(z)
        now = x[:, self.back : x.shape[1] - self.ahead]
        return F.relu(self.norm(y)) + BYPASS * now


class Net(nn.Module):
    def __init__(self, mean, scale):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.first = nn.Linear((2 * EDGE + 1) * BINS, WIDTH)
        self.norm = Norm(WIDTH)
        self.blocks = nn.ModuleList(Block(*b) for b in BLOCKS)
        self.out = nn.Linear(WIDTH, PDFS)
        self.speech = nn.Linear(WIDTH, 2)

    def forward(self, x):
        """[batch, LEFT + 3 n + RIGHT - 2 frames, BINS] -> log posteriors [batch, n, PDFS] and [batch, n, 2]."""
        x = (x - self.mean) * self.scale
        x = x.unfold(1, 2 * EDGE + 1, SUBSAMPLING)  # [batch, steps, BINS, taps]
        x = x.transpose(2, 3).flatten(2)
        x = F.relu(self.norm(self.first(x)))
        for block in self.blocks:
            x = block(x)
        return F.log_softmax(self.out(x).float(), 2), F.log_softmax(self.speech(x).float(), 2)


@torch.no_grad()
def posteriors(net, features, chunk=1200):
    """Log posteriors of a long recording or many, one row a step; its first and last frame are repeated beyond its ends."""
    steps, rows = len(features) // SUBSAMPLING, []
    for at in range(0, steps, chunk):
        n = min(chunk, steps - at)
        frames = torch.arange(SUBSAMPLING * at - LEFT, SUBSAMPLING * (at + n - 1) + 1 + RIGHT).clamp(0, len(features) - 1)
        with torch.autocast("cpu", torch.bfloat16):
            rows.append(net(features[frames].float()[None])[0][0])
    return torch.cat(rows)
