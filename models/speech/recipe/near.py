"""Words that sound like the wake phrase's name. They are in the vocabulary so that they are not recognised
as the wake phrase. They are chosen by their phones only."""
from .lexicon import VOWELS

FARTHEST = 3  # phones from the name
FREQUENT = 300  # words of English, of those the model knows
RAREST = 3  # on wordfreq's scale: 3 is once in a million words


def distance(a, b, limit=float("inf")):
    """Phones to change, leave out or put in; a vowel for another counts half. Beyond `limit` the result is only some number above it."""
    row = list(range(len(b) + 1))
    for i, p in enumerate(a, 1):
        before, row = row, [i]
        for j, q in enumerate(b, 1):
            change = 0 if p == q else 0.5 if p in VOWELS and q in VOWELS else 1
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + change))
        if min(row) > limit:
            return min(row)
    return row[-1]


def frequent(known):
    """The most frequent of the known words."""
    import wordfreq

    return [w for w in wordfreq.top_n_list("en", FREQUENT) if w in known]


def words(lexicon, name, known):
    """The dictionary's words near `name` without those in `known`, nearest first."""
    import wordfreq

    forms, found = lexicon.said[name], []
    for word, said in lexicon.said.items():
        if word in known or len(word) < 3 or not word.isalpha() or wordfreq.zipf_frequency(word, "en") < RAREST:
            continue
        off = min(distance(f, s, FARTHEST) for f in forms for s in said)
        if off <= FARTHEST:
            found.append((off, word))
    return [word for _, word in sorted(found)]
