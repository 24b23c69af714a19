"""Pronunciations of words in CMU phones, from the CMU dictionary and the project's own list.

Speakers who drop the r after vowels, and those who say `bath` with a long a, get variants by rule.
"""
from pathlib import Path

CMUDICT = Path("/usr/share/pocketsphinx/model/en-us/cmudict-en-us.dict")  # Debian package pocketsphinx-en-us
OWN = Path(__file__).resolve().parent.parent / "words" / "pronunciations.txt"
COMMON = Path(__file__).resolve().parent.parent / "words" / "common.txt"

PHONES = (
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
).split()
SILENCE, UNKNOWN = "SIL", "UNK"
UNKNOWN_WORD = "[unk]"
VOWELS = {p for p in PHONES if p[0] in "AEIOU"}
BATH = set(
    "ask asked asking bath path pass passed passing past last fast faster fastest class classical glass grass half "
    "can't dance dancing chance answer answers after afternoon castle master plant france branch staff draft example "
    "rather laugh command commands demand advantage aunt father gas banana bananas tomato tomatoes plaster basket".split()
)


def read_dictionary(path):
    """word -> list of pronunciations, each a tuple of phones."""
    said = {}
    for line in Path(path).read_text().splitlines():
        line = line.split("#")[0].split()
        if not line:
            continue
        word, phones = line[0].split("(")[0], tuple(line[1:])
        if not phones or not set(phones) <= set(PHONES):
            raise ValueError(f"{path}: {' '.join(line)!r}: expected phones of the CMU set")
        said.setdefault(word, [])
        if phones not in said[word]:
            said[word].append(phones)
    return said


def without_r(phones):
    """As in most of England: no r unless a vowel follows."""
    out = []
    for i, phone in enumerate(phones):
        following = phones[i + 1] if i + 1 < len(phones) else None
        if phone == "R" and following not in VOWELS and out and out[-1] in VOWELS:
            if out[-1] in ("IH", "IY", "EH", "UH") and following is None:
                out.append("AH")
            continue
        if phone == "ER" and following not in VOWELS:
            out.append("AH")
            continue
        out.append(phone)
    return tuple(out)


class Lexicon:
    def __init__(self):
        self.said = read_dictionary(CMUDICT)
        self.said.update(read_dictionary(OWN))

    def known(self, word):
        return word in self.said

    def pronunciations(self, word, limit=6):
        """Dictionary forms first, then those of other accents."""
        forms = list(self.said[word])
        for form in list(forms):
            forms.append(without_r(form))
            if word in BATH:
                forms += [tuple("AA" if p == "AE" else p for p in f) for f in (form, without_r(form))]
        return list(dict.fromkeys(forms))[:limit]
