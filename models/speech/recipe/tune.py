"""Chooses the weights of the network's outputs by the word errors of training voices with new texts, some with unknown words."""
import itertools
import shutil

from . import build, corpus, evaluate, phrases
from .lexicon import UNKNOWN_WORD, Lexicon

SEED = 4242
VOICES = ["flite:awb", "flite:slt", "pico:en-US", "pico:en-GB", "hibari:heart", "espeak:en-us+m3", "espeak:en-gb+f2"]
SNRS = (None, 5)
GRID = {"acoustic": (0.5,), "prior": (0.6,), "unknown": (-0.5, -1.5, 0.5), "floor": (5.0,)}


def dev_texts(rng, grammar):
    lexicon = Lexicon()
    known = set(corpus.vocabulary(grammar, lexicon))
    strange = [w for w in corpus.more_words(lexicon) if w not in known and len(w) > 5]
    for i in range(7):
        if i % 7 == 0:
            yield phrases.digit_string(rng)
        elif i % 7 == 1:
            yield phrases.WAKE.split() + [rng.choice(strange)]
        elif i % 7 == 2:
            yield "call {} {} please".format(*rng.sample(strange, 2)).split()
        else:
            yield grammar.request(rng, held_out=True)


def rate(decoder, folder, tests, known):
    wrong = total = 0
    for test in tests:
        words = [w if w in known else UNKNOWN_WORD for w in test["words"]]
        for snr in SNRS:
            found = [f["word"] for f in decoder.words(folder / f"{test['name']}_{snr}.wav")]
            squeezed = [w for i, w in enumerate(found) if w != UNKNOWN_WORD or i == 0 or found[i - 1] != w]
            reference = [w for i, w in enumerate(words) if w != UNKNOWN_WORD or i == 0 or words[i - 1] != w]
            wrong += evaluate.errors(reference, squeezed)
            total += len(reference)
    return wrong / total


def run(work, model, net, log=print):
    """Evaluates each set of weights in a copy of the model folder."""
    folder = work / "dev"
    tests = evaluate.make_tests(folder, VOICES, SEED, dev_texts)
    known = set(corpus.vocabulary(phrases.Grammar(), Lexicon()))
    copy = work / "tuned"
    shutil.copytree(model, copy, dirs_exist_ok=True)
    for acoustic, prior, unknown, floor in itertools.product(*GRID.values()):
        build.ACOUSTIC_SCALE, build.PRIOR_SCALE, build.UNKNOWN, build.FLOOR = acoustic, prior, unknown, floor
        build.export(work, copy, net)
        decoder = evaluate.Decoder(copy)
        error = rate(decoder, folder, tests, known)
        log(f"acoustic {acoustic} prior {prior} unknown {unknown} floor {floor}: {100 * error:.1f} % "
            f"({decoder.took_s / decoder.heard_s:.3f} s a second)", flush=True)
