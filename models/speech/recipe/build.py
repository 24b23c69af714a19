"""The steps from corpus to model folder. Each leaves a file in the work folder and is skipped while that exists."""
from pathlib import Path

import torch

from . import align as aligner
from . import corpus, features, graph, lm, near, nnet3, phrases, train
from .lexicon import Lexicon
from .net import Net

SEED = 1
BOOT_STEPS, BOOT_SHARDS = 700, 4  # on flite's own alignments
FIRST_STEPS, FIRST_SHARDS = 900, 22
SECOND_STEPS, FINAL_STEPS = 2400, 3600
BOOT_RATE, FIRST_RATE, SECOND_RATE, FINAL_RATE = 2e-3, 2e-3, 1.5e-3, 1.5e-3

# Weights of the network's outputs and of the language model; chosen on the training voices.
ACOUSTIC_SCALE, PRIOR_SCALE, UNKNOWN, FLOOR = 0.5, 0.6, 0.0, 5.0
WAKE_COST = 4.0  # penalty of the wake phrase's name, -ln; without it many beginnings of sentences are recognised as the phrase

MODEL_CONF = """--min-active=200
--max-active=3000
--beam=11.0
--lattice-beam=5.0
--acoustic-scale=1.0
--frame-subsampling-factor=3
--endpoint.silence-phones=1
--endpoint.rule2.min-trailing-silence=0.5
--endpoint.rule3.min-trailing-silence=0.75
--endpoint.rule4.min-trailing-silence=1.0
"""


def load_net(path):
    state = torch.load(path)
    net = Net(state["mean"], state["scale"])
    net.load_state_dict(state)
    return net.eval()


def save(value, path):
    part = path.with_suffix(".part")
    torch.save(value, part)
    part.replace(path)


def fitted(work, name, stream, labels, steps, rate, start=None):
    path = work / f"{name}.pt"
    if not path.exists():
        net = load_net(work / f"{start}.pt") if start else train.new_net(stream, SEED)
        train.fit(net, train.Augmenter(stream, labels, SEED), steps, rate, work / f"{name}.state")
        save(net.state_dict(), path)
    return load_net(path)


def aligned(work, name, net, stream, prior):
    path = work / f"{name}.pt"
    if not path.exists():
        labels, scores = aligner.align(net, stream, Lexicon(), prior)
        print(f"{name}: median score {sorted(scores)[len(scores) // 2]:.3f}, worst kept {sorted(scores)[len(scores) // 33]:.3f}", flush=True)
        save(labels, path)
    return torch.load(path)


def acoustic(work):
    """Labels by flite, a first network, its labels, a better network, and so on to the network that is shipped."""
    stream = train.Stream(work / "corpus", BOOT_SHARDS)
    labels = train.flite_labels(stream)
    net, prior = fitted(work, "boot", stream, labels, BOOT_STEPS, BOOT_RATE), train.priors(labels)
    stream = train.Stream(work / "corpus", FIRST_SHARDS)
    labels = aligned(work, "labels1", net, stream, prior)
    net, prior = fitted(work, "first", stream, labels, FIRST_STEPS, FIRST_RATE), train.priors(labels)
    stream = train.Stream(work / "corpus")
    labels = aligned(work, "labels2", net, stream, prior)
    net, prior = fitted(work, "second", stream, labels, SECOND_STEPS, SECOND_RATE, start="first"), train.priors(labels)
    labels = aligned(work, "labels3", net, stream, prior)
    save(train.priors(labels), work / "prior.pt")
    fitted(work, "final", stream, labels, FINAL_STEPS, FINAL_RATE, start="second")


def language(folder):
    grammar, lexicon = phrases.Grammar(), Lexicon()
    words = corpus.vocabulary(grammar, lexicon)
    name = phrases.WAKE.split()[-1]
    alike = near.words(lexicon, name, set(words))
    model = lm.Trigram(lm.texts(SEED, grammar, words, alike, near.frequent(set(words))), words + alike)
    graph.write(folder / "graph", {w: lexicon.pronunciations(w) for w in words + alike}, model, {name: WAKE_COST})


def export(work, folder, name="final"):
    net = load_net(work / f"{name}.pt")
    prior = torch.load(work / "prior.pt")
    for part in ("am", "conf"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    nnet3.write(folder / "am" / "final.mdl", net, prior, ACOUSTIC_SCALE, PRIOR_SCALE, UNKNOWN, FLOOR)
    (folder / "conf" / "fbank.conf").write_text(features.conf())
    (folder / "conf" / "model.conf").write_text(MODEL_CONF)
