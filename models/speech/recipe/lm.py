"""The language model: a trigram with interpolated Kneser-Ney smoothing over texts sampled from the intent grammar."""
import math
import random
from collections import Counter, defaultdict

from . import phrases
from .lexicon import UNKNOWN_WORD

TEXTS = 300_000
DISCOUNT = 0.75
UNIFORM = 0.05  # share of the unigram probability that is uniform over all words
NEAR = 0.03  # of texts are near the wake phrase
UNKNOWN = 0.02  # of words are replaced by [unk]: names and the like
START, END = "<s>", "</s>"


def texts(seed, grammar, vocabulary, near, frequent):
    """Training texts of the language model. `near`: words that sound like the wake phrase's name;
    `frequent`: the most frequent words of the vocabulary."""
    rng = random.Random(seed)
    known = set(vocabulary) | set(near)
    for _ in range(TEXTS):
        draw = rng.random()
        if draw < 0.66:
            words = grammar.request(rng)
        elif draw < 0.83:
            words = phrases.digit_string(rng)
        elif draw < 0.88:
            words = phrases.figures(rng)
        elif draw < 0.91:
            words = phrases.spelling(rng)
        elif draw < 0.97 - NEAR:
            words = phrases.wake(rng, grammar)
        elif draw < 0.97:
            words = phrases.not_wake(rng, near, frequent, vocabulary)
        else:
            words = phrases.salad(rng, vocabulary)
        words = [w if w in known else UNKNOWN_WORD for w in words if w]
        yield [UNKNOWN_WORD if rng.random() < UNKNOWN else w for w in words]


class Trigram:
    def __init__(self, sentences, vocabulary):
        self.words = list(vocabulary) + [UNKNOWN_WORD, END]
        three, two = Counter(), Counter()
        for s in sentences:
            padded = [START] + s + [END]
            two[tuple(padded[:2])] += 1
            three.update(zip(padded, padded[1:], padded[2:]))
        # Lower orders count in how many contexts a word occurs; after START there is no longer context.
        for a, b, c in three:
            two[b, c] += 1
        one = Counter(b for _, b in two)
        total = sum(one.values())
        floor = UNIFORM / len(self.words)
        self.one = {w: (1 - UNIFORM) * one[w] / total + floor for w in self.words}
        self.two, self.back_two = self._order(two, lambda h, w: self.one[w])
        lower = lambda h, w: self.two[h[1:]].get(w) or self.back_two[h[1:]] * self.one[w]
        kept = Counter({g: n for g, n in three.items() if n > 1})
        dropped = Counter()
        for g, n in three.items():
            if n == 1:
                dropped[g[:2]] += 1
        self.three, self.back_three = self._order(kept, lower, dropped)

    @staticmethod
    def _order(counts, lower, dropped=None):
        """Probabilities of the counted, by history, and what is left of each history for the others."""
        totals, kinds = Counter(dropped or {}), Counter(dropped or {})
        for gram, n in counts.items():
            totals[gram[:-1]] += n
            kinds[gram[:-1]] += 1
        # The count of a dropped n-gram goes to the lower order.
        left = {h: (DISCOUNT * kinds[h] + (1 - DISCOUNT) * (dropped[h] if dropped else 0)) / totals[h] for h in totals}
        by_history = defaultdict(dict)
        for gram, n in counts.items():
            h, w = gram[:-1], gram[-1]
            by_history[h][w] = (n - DISCOUNT) / totals[h] + left[h] * lower(h, w)
        return by_history, left

    def arcs(self, ids):
        """Text of a transducer whose states are histories; a history's epsilon arc forgets its first word."""
        states = {(START,): 0, (): 1}
        number = lambda h: states.setdefault(h, len(states))
        histories = [()] + list(self.two) + list(self.three)
        for h in histories:
            number(h)
        lines = []
        for h in sorted(histories, key=lambda h: states[h]):
            table = self.one if not h else self.two[h] if len(h) == 1 else self.three[h]
            for word, p in sorted(table.items()):
                if word == END:
                    lines.append(f"{states[h]} {-math.log(p):.5f}")
                    continue
                to = (h + (word,))[-2:]
                while to not in states:
                    to = to[1:]
                lines.append(f"{states[h]} {states[to]} {ids[word]} {ids[word]} {-math.log(p):.5f}")
            if h:
                to = h[1:]
                while to not in states:
                    to = to[1:]
                left = (self.back_two if len(h) == 1 else self.back_three)[h]
                lines.append(f"{states[h]} {states[to]} 0 0 {-math.log(left):.5f}")
        return lines

    def cost(self, words):
        """-ln of a sentence's probability, for tests."""
        history, total = (START,), 0.0
        for w in words + [END]:
            h, p = history[-2:], 1.0
            while True:
                table, back = (self.three, self.back_three) if len(h) == 2 else (self.two, self.back_two)
                if not h:
                    p *= self.one[w]
                    break
                if w in table.get(h, {}):
                    p *= table[h][w]
                    break
                p *= back.get(h, 1.0)
                h = h[1:]
            total -= math.log(p)
            history = (history + (w,))[-2:]
        return total
