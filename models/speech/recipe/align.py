"""Forced alignment of each utterance's words by the scores of the network."""
import numba
import numpy as np
import torch

from .lexicon import PHONES
from .net import SILENCE_PDF, SUBSAMPLING, posteriors

PRIOR_SCALE = 0.6
PHONE_INDEX = {p: i for i, p in enumerate(PHONES)}


class PhoneGraph:
    """The phones that an utterance may consist of: every pronunciation of each word, silence between words if there is any."""

    def __init__(self, words, lexicon):
        self.pdfs, self.predecessors = [], []  # pdfs: (of the first 30 ms, of the rest)
        self.start = {self._node(SILENCE_PDF, SILENCE_PDF, [])}  # there always is some before the first word
        ends = set(self.start)
        for word in words:
            entries, word_ends = sorted(ends), []
            for form in lexicon.pronunciations(word):
                before = entries
                for phone in form:
                    i = PHONE_INDEX[phone]
                    before = [self._node(2 * i, 2 * i + 1, before)]
                word_ends += before
            silence = self._node(SILENCE_PDF, SILENCE_PDF, word_ends)
            ends = set(word_ends) | {silence}
        self.ends = ends

    def _node(self, first, rest, before):
        self.pdfs.append((first, rest))
        self.predecessors.append(list(before))
        return len(self.pdfs) - 1

    def arrays(self):
        pointer = np.cumsum([0] + [len(p) for p in self.predecessors])
        flat = np.array([b for p in self.predecessors for b in p] or [0], np.int32)
        return np.array(self.pdfs, np.int32), pointer.astype(np.int32), flat


@numba.njit(cache=True)
def viterbi(scores, pdfs, pointer, flat, starts, ends):
    """The best path's pdf in each step, and its score; score -inf when there is no path."""
    steps, nodes = len(scores), len(pdfs)
    best = np.full(nodes, -np.inf)
    back = np.full((steps, nodes), -1, np.int32)
    for s in starts:
        best[s] = scores[0, pdfs[s, 0]]
    for t in range(1, steps):
        new = np.full(nodes, -np.inf)
        for n in range(nodes):
            stay = best[n] + scores[t, pdfs[n, 1]]
            came, arrive = -1, -np.inf
            for k in range(pointer[n], pointer[n + 1]):
                if best[flat[k]] > arrive:
                    came, arrive = flat[k], best[flat[k]]
            arrive += scores[t, pdfs[n, 0]]
            if stay >= arrive:
                new[n], back[t, n] = stay, n
            else:
                new[n], back[t, n] = arrive, came
        best = new
    node, score = -1, -np.inf
    for e in ends:
        if best[e] > score:
            node, score = e, best[e]
    path = np.full(steps, -1, np.int32)
    if node < 0:
        return path, -np.inf
    for t in range(steps - 1, -1, -1):
        before = back[t, node]
        path[t] = pdfs[node, 1] if t > 0 and before == node else pdfs[node, 0]
        if t > 0:
            node = before
    return path, score


def align(net, stream, lexicon, prior, log=print):
    """Labels for the whole stream, and the utterances' mean scores per step; IGNORE where a text does not fit."""
    from .train import IGNORE

    labels = torch.full((len(stream) // SUBSAMPLING,), IGNORE, dtype=torch.long)
    acoustic, scores = posteriors(net, stream.clean) - PRIOR_SCALE * torch.log(prior), []
    for i, a in enumerate(stream.about):
        if not all(map(lexicon.known, a["words"])):
            scores.append(-np.inf)
            continue
        graph = PhoneGraph(a["words"], lexicon)
        at, steps = a["start"] // SUBSAMPLING, a["frames"] // SUBSAMPLING
        heard = acoustic[at : at + steps].numpy().astype(np.float64)
        path, score = viterbi(heard, *graph.arrays(), np.array(sorted(graph.start)), np.array(sorted(graph.ends)))
        scores.append(score / steps)
        labels[at : at + steps] = torch.from_numpy(path.astype(np.int64))
        if (i + 1) % 2000 == 0:
            log(f"aligned {i + 1}/{len(stream.about)}", flush=True)
    # The worst alignments probably do not match their text.
    scores = np.array(scores)
    limit = np.quantile(scores, 0.03)
    for a, score in zip(stream.about, scores):
        if score < limit:
            at = a["start"] // SUBSAMPLING
            labels[at : at + a["frames"] // SUBSAMPLING] = IGNORE
    return labels, scores
