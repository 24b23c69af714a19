"""Texts that people say to the car: sampled from the intent grammar, digits, letters, and plain words.

The grammar's notation is that of models/language/src/training/corpus/grammar.rs: `(a|b|)`, `@list`, `{slot:...}`, `[slot=value]`,
`words => value` in lists and `~` for a made-up word.
"""
import random
import re
import tomllib
from pathlib import Path

GRAMMAR = Path(__file__).resolve().parents[2] / "language" / "grammar.toml"

DIGITS = "zero one two three four five six seven eight nine".split()
TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
LETTERS = list("abcdefghijklmnopqrstuvwxyz")
DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
MONTHS = "january february march april may june july august september october november december".split()
UNITS = (
    "kilometre kilometres metre metres mile miles degree degrees celsius percent bar "
    "litre litres hour hours minute minutes second seconds volt volts watt kilowatt kilowatts point hundred thousand "
    "million half quarter double triple minus plus"
).split()
ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth".split()
WAKE = "hey auriga"


def parse(text):
    """A phrasing as nested lists: ("seq", parts), ("or", choices), ("list", name) and plain words."""
    phrase, rest = _sequence(text)
    if rest:
        raise ValueError(f"{text!r}: nothing opens what is closed at {rest!r}")
    return phrase


def _sequence(rest):
    parts = []
    while rest and rest[0] not in "|)}]":
        if rest[0] == "(":
            choices = []
            while rest[0] in "(|":
                choice, rest = _sequence(rest[1:])
                choices.append(choice)
            rest = _after(rest, ")")
            parts.append(("or", choices))
        elif rest[0] == "{":
            inner, rest = _sequence(rest.split(":", 1)[1])
            rest = _after(rest, "}")
            parts.append(inner)
        elif rest[0] == "[":
            rest = rest.split("]", 1)[1]
        elif rest[0] == "@":
            name = re.match(r"[a-z_]*", rest[1:]).group()
            parts.append(("list", name))
            rest = rest[1 + len(name) :]
        else:
            words = re.match(r"[^|(){}\[\]@]*", rest).group()
            parts.append(words)
            rest = rest[len(words) :]
    return ("seq", parts), rest


def _after(rest, sign):
    if not rest.startswith(sign):
        raise ValueError(f"expected {sign!r} at {rest!r}")
    return rest[1:]


def number_words(n):
    """0..999999 in words, without `and`."""
    if n < 10:
        return [DIGITS[n]]
    if n < 20:
        return [TEENS[n - 10]]
    if n < 100:
        return [TENS[n // 10 - 2]] + ([DIGITS[n % 10]] if n % 10 else [])
    if n < 1000:
        return [DIGITS[n // 100], "hundred"] + (number_words(n % 100) if n % 100 else [])
    return number_words(n // 1000) + ["thousand"] + (number_words(n % 1000) if n % 1000 else [])


def plain(text):
    """Lower-case words only, figures spelt out, `what 's` as one word."""
    words = []
    for word in text.lower().split():
        if word[0] == "'" and words:
            words[-1] += word
        else:
            words += number_words(int(word)) if word.isdigit() else [word]
    return words


class Grammar:
    """The phrasings of the intents, ready to sample from."""

    def __init__(self, path=GRAMMAR):
        file = tomllib.loads(Path(path).read_text())
        entry = lambda text: text.split(" => ")[0]
        self.lists = {name: [entry(e) for e in entries] for name, entries in file["lists"].items()}
        self.held_out_lists = self.lists | {n: [entry(e) for e in l] for n, l in file["held_out_lists"].items()}
        self.before, self.after = file["around"]["before"], file["around"]["after"]
        self.fillers = file["noise"]["fillers"]
        self.intents = [
            (i["name"], i.get("polite", False), [parse(t) for t in i["train"]], [parse(t) for t in i["held_out"]])
            for i in file["intent"]
        ]

    def say(self, phrase, rng, lists):
        if isinstance(phrase, str):
            return phrase
        kind, inner = phrase
        if kind == "list":
            return rng.choice(lists[inner])
        if kind == "or":
            return self.say(rng.choice(inner), rng, lists)
        return "".join(self.say(p, rng, lists) for p in inner)

    def request(self, rng, held_out=False):
        """One thing a driver may say, with or without the wake phrase and politeness around it."""
        name, polite, train, tests = rng.choice(self.intents)
        lists = self.held_out_lists if held_out else self.lists
        words = plain(self.say(rng.choice(tests if held_out else train), rng, lists))
        if polite and rng.random() < 0.3:
            words = plain(rng.choice(self.before)) + words
        if polite and rng.random() < 0.15:
            words = words + plain(rng.choice(self.after))
        if not held_out and rng.random() < 0.03:
            words.insert(rng.randrange(len(words) + 1), rng.choice(self.fillers))
            words = plain(" ".join(words))
        if rng.random() < 0.15:
            words = WAKE.split() + words
        return words

    def vocabulary(self):
        """Every word that some phrasing can say."""
        words = set(plain(WAKE))

        def visit(phrase):
            if isinstance(phrase, str):
                words.update(plain(phrase))
            elif phrase[0] != "list":
                for part in phrase[1]:
                    visit(part)

        for _, _, train, tests in self.intents:
            for phrase in train + tests:
                visit(phrase)
        for text in [t for l in self.held_out_lists.values() for t in l] + self.before + self.after + self.fillers:
            words.update(plain(text))
        for entries in self.lists.values():
            for text in entries:
                words.update(plain(text))
        return {w for w in words if "~" not in w and w not in ("'s", "'d")}


def digit_string(rng):
    """As telephone numbers and codes are read: `oh` for zero, sometimes in groups with `double`."""
    zero = rng.choice(["zero", "oh"]) if rng.random() < 0.7 else None
    words = []
    for _ in range(rng.randint(2, 9)):
        digit = rng.randrange(10) if rng.random() < 0.85 else 0
        word = DIGITS[digit] if digit else (zero or rng.choice(["zero", "oh"]))
        words += ["double", word] if rng.random() < 0.03 else [word]
    return words


def figures(rng):
    """A number, a time, a date, a quantity."""
    kind = rng.randrange(5)
    if kind == 0:
        return number_words(int(10 ** rng.uniform(0, 5)))
    if kind == 1:
        return number_words(rng.randint(1, 12)) + number_words(rng.randint(10, 59)) + rng.choice([[], ["a", "m"], ["p", "m"], ["o'clock"]])
    if kind == 2:
        return [rng.choice(DAYS), rng.choice(["the", ""]), rng.choice(ORDINALS), rng.choice(["of", ""]), rng.choice(MONTHS)]
    if kind == 3:
        return number_words(rng.randint(0, 300)) + [rng.choice(UNITS)]
    return number_words(rng.randint(0, 40)) + ["point"] + [rng.choice(DIGITS)] + [rng.choice(UNITS)]


def spelling(rng):
    return [rng.choice(LETTERS) for _ in range(rng.randint(2, 7))]


def salad(rng, words):
    """Random words: every phone next to every other."""
    return [rng.choice(words) for _ in range(rng.randint(2, 7))]


def wake(rng, grammar):
    return WAKE.split() + (grammar.request(rng) if rng.random() < 0.3 else [])


def not_wake(rng, near, frequent, words):
    """Texts similar to the wake phrase: somebody else is called, or a word begins like it."""
    first = rng.choice(rng.choice([near, near, frequent, frequent, words]))
    called = WAKE.split()[:1] if rng.random() < 0.7 else []
    return called + [first] + salad(rng, rng.choice([frequent, words]))[: rng.randrange(5)]


def spoken_texts(seed, grammar, vocabulary, more_words):
    """An endless stream of texts to be spoken for training the acoustic model."""
    rng = random.Random(seed)
    while True:
        draw = rng.random()
        if draw < 0.34:
            words = grammar.request(rng)
        elif draw < 0.46:
            words = digit_string(rng)
        elif draw < 0.52:
            words = figures(rng)
        elif draw < 0.57:
            words = spelling(rng)
        elif draw < 0.64:
            words = wake(rng, grammar)
        elif draw < 0.82:
            words = salad(rng, vocabulary)
        else:
            words = salad(rng, more_words)
        words = [w for w in words if w]
        if words and len(words) <= 16:
            yield words
