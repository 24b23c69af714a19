"""Trains the network on the corpus: cross entropy on alignments, with augmentation of speakers, rooms, levels and noise."""
import json
import math
import time
from pathlib import Path

import numpy as np
import torch

from .features import BINS
from .lexicon import PHONES
from .net import LEFT, PDFS, RIGHT, SILENCE_PDF, SUBSAMPLING, Net

CHUNK = 100  # labels
BATCH = 64
IGNORE = -1
DB = math.log(10) / 10  # of power, in the features' natural logarithm
MEL_LOW, MEL_HIGH = (1127 * math.log(1 + f / 700) for f in (60, 7600))


class Stream:
    """All utterances one after another; each one's length is a multiple of the subsampling."""

    def __init__(self, folder, shards=None):
        clean, noisy, self.about = [], [], []
        at = 0
        for path in sorted(Path(folder).glob("shard???.npz"))[:shards]:
            with np.load(path) as shard:
                c, n, about = shard["clean"], shard["noisy"], json.loads(str(shard["about"]))
            start = 0
            for a in about:
                frames = a["frames"] // SUBSAMPLING * SUBSAMPLING
                clean.append(c[start : start + frames])
                noisy.append(n[start : start + frames])
                start += a["frames"]
                self.about.append(a | {"start": at, "frames": frames})
                at += frames
        self.clean, self.noisy = torch.from_numpy(np.concatenate(clean)), torch.from_numpy(np.concatenate(noisy))
        self.noise = torch.from_numpy(np.load(Path(folder) / "noises.npz")["noise"])

    def __len__(self):
        return len(self.clean)


def warp_matrices(factors):
    """Mapping of mel bins for a spectrum stretched by each factor: [n, BINS, BINS]."""
    mel = torch.linspace(MEL_LOW, MEL_HIGH, BINS + 2)[1:-1]
    hertz = 700 * (torch.exp(mel / 1127) - 1)
    source = 1127 * torch.log(1 + hertz[None] * factors[:, None] / 700)
    at = ((source - mel[0]) / (mel[1] - mel[0])).clamp(0, BINS - 1)
    return torch.relu(1 - (at[:, None, :] - torch.arange(BINS)[None, :, None]).abs())


class Augmenter:
    """Random batches of chunks."""

    def __init__(self, stream, labels, seed):
        self.stream, self.labels = stream, labels
        self.noise = stream.noise
        self.rng = torch.Generator().manual_seed(seed)
        good = (labels != IGNORE).numpy()
        full = np.convolve(good, np.ones(CHUNK), "valid")
        starts = np.nonzero(full >= 0.5 * CHUNK)[0]
        starts = starts[(starts * SUBSAMPLING >= LEFT) & ((starts + CHUNK) * SUBSAMPLING + RIGHT < len(stream))]
        self.starts = torch.from_numpy(starts)

    def rand(self, *shape):
        return torch.rand(*shape, generator=self.rng)

    def randn(self, *shape):
        return torch.randn(*shape, generator=self.rng)

    def batch(self, n=BATCH):
        starts = self.starts[torch.randint(len(self.starts), (n,), generator=self.rng)]
        frames = (starts * SUBSAMPLING - LEFT)[:, None] + torch.arange(LEFT + SUBSAMPLING * (CHUNK - 1) + 1 + RIGHT)
        noisy = self.rand(n) < 0.45
        x = torch.where(noisy[:, None, None], self.stream.noisy[frames], self.stream.clean[frames]).float()
        return self.varied(x, noisy), self.labels[starts[:, None] + torch.arange(CHUNK)]

    def varied(self, x, noisy):
        n, length, _ = x.shape
        x = torch.bmm(x, warp_matrices(torch.exp((0.08 * self.randn(n)).clamp(-0.2, 0.2))))
        # Level and an uneven frequency response.
        knots = torch.nn.functional.interpolate(3.0 * DB * self.randn(n, 1, 6), BINS, mode="linear", align_corners=True)
        x = x + knots + (4.0 * DB * self.randn(n))[:, None, None]
        # Noise is added to what was clean.
        peak = torch.logsumexp(x.flatten(1), 1) - math.log(length * BINS)
        snr = DB * (28 * self.rand(n) - 2)
        pieces = torch.randint(self.noise.shape[0], (n,), generator=self.rng)
        offsets = torch.randint(self.noise.shape[1] - length, (n,), generator=self.rng)
        noise = self.noise[pieces[:, None], offsets[:, None] + torch.arange(length)].float()
        level = torch.logsumexp(noise.flatten(1), 1) - math.log(length * BINS)
        added = torch.logaddexp(x, noise + (peak - snr - level)[:, None, None])
        x = torch.where(((self.rand(n) < 0.6) & ~noisy)[:, None, None], added, x)
        # Missing bands and moments.
        mean = x.mean((1, 2), keepdim=True)
        low = (self.rand(n) * BINS)[:, None]
        bins = torch.arange(BINS)[None]
        band = (bins >= low) & (bins < low + 7 * self.rand(n, 1)) & (self.rand(n, 1) < 0.4)
        at = (self.rand(n) * length)[:, None]
        times = torch.arange(length)[None]
        moment = (times >= at) & (times < at + 15 * self.rand(n, 1)) & (self.rand(n, 1) < 0.4)
        return torch.where(band[:, None, :] | moment[:, :, None], mean, x)


def flite_labels(stream):
    """Labels from flite's own phone times; IGNORE elsewhere."""
    index = {p: i for i, p in enumerate(PHONES)}
    labels = torch.full((len(stream) // SUBSAMPLING,), IGNORE, dtype=torch.long)
    for a in stream.about:
        if not a["phones"]:
            continue
        steps = a["frames"] // SUBSAMPLING
        times = np.arange(steps) * 0.01 * SUBSAMPLING + 0.0125
        which = np.searchsorted([t for _, t in a["phones"]], times)
        at, before = a["start"] // SUBSAMPLING, None
        for i, w in enumerate(which):
            name = a["phones"][w][0].upper() if 0 < w < len(a["phones"]) else "PAU"
            name = {"AX": "AH", "AXR": "ER"}.get(name, name)
            if name in index:
                labels[at + i] = 2 * index[name] + (w == before)
            else:
                labels[at + i] = SILENCE_PDF
            before = w
    return labels


def normalisation(stream):
    sample = torch.cat([stream.clean[::53], stream.noisy[::53]]).float()
    return sample.mean(0), 1 / sample.std(0)


def loss_of(net, x, y):
    with torch.autocast("cpu", torch.bfloat16):
        main, speech = net(x)
    known = y != IGNORE
    target = y[known]
    main, speech = main[known], speech[known]
    smooth = 0.05
    loss = -(1 - smooth) * main.gather(1, target[:, None]).mean() - smooth * main.mean()
    loss = loss - 0.3 * speech.gather(1, (target != SILENCE_PDF).long()[:, None]).mean()
    return loss, (main.argmax(1) == target).float().mean()


def fit(net, augmenter, steps, peak_rate, state=None, log=print, save_every=500):
    """One cycle of the learning rate. `state`: a file to go on from when it exists."""
    optimiser = torch.optim.AdamW(net.parameters(), lr=peak_rate, weight_decay=0.01, betas=(0.9, 0.98))
    warm = min(300, steps // 10)
    rate = lambda s: (s + 1) / warm if s < warm else 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (s - warm) / (steps - warm)))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
    first = 0
    if state and Path(state).exists():
        saved = torch.load(state)
        net.load_state_dict(saved["net"])
        optimiser.load_state_dict(saved["optimiser"])
        schedule.load_state_dict(saved["schedule"])
        augmenter.rng.set_state(saved["rng"])
        first = saved["step"]
    net.train()
    begun, losses, right = time.time(), [], []
    for step in range(first, steps):
        loss, accuracy = loss_of(net, *augmenter.batch())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        right.append(accuracy.item())
        if (step + 1) % 50 == 0:
            pace = (time.time() - begun) / (step + 1 - first)
            log(f"step {step + 1}/{steps}: loss {np.mean(losses):.3f}, right {np.mean(right):.3f}, "
                f"{pace:.2f} s a step, {pace * (steps - step - 1) / 60:.0f} min to go", flush=True)
            losses, right = [], []
        if state and (step + 1) % save_every == 0:
            torch.save({"net": net.state_dict(), "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict(),
                        "rng": augmenter.rng.get_state(), "step": step + 1}, state)
    net.eval()
    return net


def new_net(stream, seed):
    torch.manual_seed(seed)
    return Net(*normalisation(stream))


def priors(labels):
    counts = torch.bincount(labels[labels != IGNORE], minlength=PDFS).float() + 1
    return counts / counts.sum()
