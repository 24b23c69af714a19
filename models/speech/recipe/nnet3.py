"""Writes the network as Kaldi writes one: am/final.mdl, binary, a transition model and an nnet3 network."""
import struct

import numpy as np
import torch

from .features import BINS
from .lexicon import PHONES
from .net import BLOCKS, BYPASS, EDGE, LEFT, PDFS, RIGHT, SILENCE_PDF, WIDTH, BOTTLENECK

UNKNOWN_PDF = PDFS  # after the main head's
POSITIONS = "BIES"  # begin, inside, end, single: where in a word a phone stands
PHONE_TABLE = ["SIL"] + [f"UNK_{p}" for p in POSITIONS] + [f"{phone}_{p}" for phone in PHONES for p in POSITIONS]
BOUNDARY = {"B": "begin", "I": "internal", "E": "end", "S": "singleton"}


def phone_id(name):
    return _PHONE_IDS[name]


_PHONE_IDS = {name: i + 1 for i, name in enumerate(PHONE_TABLE)}


def phone_pdfs(name):
    """Outputs that score the phone's first 30 ms and the rest of it."""
    if name == "SIL":
        return SILENCE_PDF, SILENCE_PDF
    base = name.rsplit("_", 1)[0]
    if base == "UNK":
        return UNKNOWN_PDF, UNKNOWN_PDF
    i = PHONES.index(base)
    return 2 * i, 2 * i + 1


def first_id(phone):
    """Transition-id that enters a phone; one less stays in it."""
    return 2 * phone


class Writer:
    """Kaldi's binary format."""

    def __init__(self, stream):
        self.stream = stream
        self.stream.write(b"\0B")

    def token(self, *names):
        for name in names:
            self.stream.write(name.encode() + b" ")

    def int(self, *values):
        for value in values:
            self.stream.write(struct.pack("<bi", 4, value))

    def float(self, value):
        self.stream.write(struct.pack("<bf", 4, value))

    def double(self, value):
        self.stream.write(struct.pack("<bd", 8, value))

    def ints(self, values):
        self.stream.write(struct.pack("<bi", 4, len(values)) + np.asarray(values, "<i4").tobytes())

    def vector(self, values):
        self.token("FV")
        self.int(len(values))
        self.stream.write(np.asarray(values, "<f4").tobytes())

    def matrix(self, values):
        """As 16-bit steps between its least and greatest value: half the size, and no difference to hear."""
        values = np.asarray(values, np.float64)
        low, span = float(values.min()), float(values.max() - values.min()) or 1.0
        self.token("CM2")
        self.stream.write(struct.pack("<ffii", low, span, *values.shape))
        self.stream.write(np.round((values - low) / span * 65535).astype("<u2").tobytes())


def transition_model(w):
    """One emitting state a phone, which scores its first step and the others differently."""
    w.token("<TransitionModel>", "<Topology>")
    ids = list(range(1, len(PHONE_TABLE) + 1))
    single = {i for i, name in zip(ids, PHONE_TABLE) if len(set(phone_pdfs(name))) == 1}
    w.ints(ids)
    w.ints([-1] + [0 if i in single else 1 for i in ids])
    w.int(-1, 2)  # the format with two pdfs a state; two topologies
    for rest in (0, 1):
        w.int(2)
        w.int(0, rest, 2)
        for to in (0, 1):
            w.int(to)
            w.float(0.5)
        w.int(-1, -1, 0)
    w.token("</Topology>", "<Tuples>")
    w.int(len(ids))
    for i, name in zip(ids, PHONE_TABLE):
        w.int(i, 0, *phone_pdfs(name))
    w.token("</Tuples>", "<LogProbs>")
    w.vector([0.0] + [float(np.log(0.5))] * (2 * len(ids)))
    w.token("</LogProbs>", "</TransitionModel>")


def folded(linear, norm):
    """An affine layer and the normalisation after it, as one."""
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return linear.weight * gain[:, None], (linear.bias - norm.running_mean) * gain + norm.bias


def scoring(prior, acoustic_scale, prior_scale, unknown, floor):
    """From the heads' log posteriors to what the decoder adds up: likelihoods, scaled; [unk] by whether it is speech.

    No sound is less likely than `floor` says, however sure the network is: real speakers are less clear than synthetic ones.
    """
    weight, bias = np.zeros((PDFS + 1, PDFS + 2)), np.zeros(PDFS + 1)
    weight[:PDFS, :PDFS] = np.eye(PDFS)
    bias[:PDFS] = -prior_scale * np.log(np.asarray(prior))
    weight[UNKNOWN_PDF, PDFS + 1] = 1.0
    bias[UNKNOWN_PDF] = unknown
    return acoustic_scale * weight, acoustic_scale * (bias + floor)


def layers(net, prior, scales):
    """Config lines, and components as (name, kind, weight and bias, or dimension)."""
    lines, parts = [f"input-node name=input dim={BINS}"], []

    def node(name, kind, value, source):
        lines.append(f"component-node name={name} component={name} input={source}")
        parts.append((name, kind, value))
        return name

    at = lambda x, offset: x if offset == 0 else f"Offset({x}, {offset})"
    weight, bias = folded(net.first, net.norm)
    taps = 2 * EDGE + 1
    weight = weight * net.scale.repeat(taps)
    bias = bias - weight @ net.mean.repeat(taps)
    spliced = ", ".join(at("input", o) for o in range(-EDGE, EDGE + 1))
    x = node("first", "affine", (weight, bias), f"Append({spliced})")
    x = node("first.relu", "relu", WIDTH, x)
    for i, (block, (back, ahead)) in enumerate(zip(net.blocks, BLOCKS)):
        linear = (block.linear.weight, torch.zeros(BOTTLENECK))
        z = node(f"b{i}.linear", "affine", linear, f"Append({at(x, -back)}, {x})")
        spliced = f"Append({z}, {at(z, ahead)})" if ahead else z
        y = node(f"b{i}.affine", "affine", folded(block.affine, block.norm), spliced)
        y = node(f"b{i}.relu", "relu", WIDTH, y)
        x = node(f"b{i}.sum", "same", WIDTH, f"Sum({y}, Scale({BYPASS}, {x}))")
    main = node("main", "affine", (net.out.weight, net.out.bias), x)
    main = node("main.log", "logsoftmax", PDFS, main)
    speech = node("speech", "affine", (net.speech.weight, net.speech.bias), x)
    speech = node("speech.log", "logsoftmax", 2, speech)
    scores = tuple(torch.from_numpy(v) for v in scoring(prior, *scales))
    scores = node("scores", "affine", scores, f"Append({main}, {speech})")
    scores = node("floor", "relu", PDFS + 1, scores)
    lines.append(f"output-node name=output input={scores} objective=linear")
    return lines, parts


NONLINEAR = {"relu": "RectifiedLinearComponent", "logsoftmax": "LogSoftmaxComponent"}


def component(w, kind, value):
    if kind == "affine":
        w.token("<FixedAffineComponent>", "<LinearParams>")
        w.matrix(value[0].detach().numpy())
        w.token("<BiasParams>")
        w.vector(value[1].detach().numpy())
        w.token("</FixedAffineComponent>")
    elif kind == "same":
        w.token("<NoOpComponent>", "<Dim>")
        w.int(value)
        w.token("<BackpropScale>")
        w.float(1.0)
        w.token("</NoOpComponent>")
    else:
        w.token(f"<{NONLINEAR[kind]}>", "<Dim>")
        w.int(value)
        w.token("<ValueAvg>")
        w.vector([])
        w.token("<DerivAvg>")
        w.vector([])
        w.token("<Count>")
        w.double(0.0)
        w.token("<OderivRms>")
        w.vector([])
        w.token("<OderivCount>")
        w.double(0.0)
        w.token("<NumDimsSelfRepaired>")
        w.double(0.0)
        w.token("<NumDimsProcessed>")
        w.double(0.0)
        w.token(f"</{NONLINEAR[kind]}>")


def write(path, net, prior, *scales):
    lines, parts = layers(net, prior, scales)
    with open(path, "wb") as stream:
        w = Writer(stream)
        transition_model(w)
        w.token("<Nnet3>")
        stream.write(("\n" + "\n".join(lines) + "\n\n").encode())
        w.token("<NumComponents>")
        w.int(len(parts))
        for name, kind, value in parts:
            w.token("<ComponentName>", name)
            component(w, kind, value)
        w.token("</Nnet3>", "<LeftContext>")
        w.int(LEFT)
        w.token("<RightContext>")
        w.int(RIGHT)
        w.token("<Priors>")
        w.vector([])
