"""The training corpus, in shards: each utterance once clean and once in a cabin, as features.

Only features are kept: a shard that exists is not made again, so that a broken run goes on where it was.
"""
import itertools
import json
from pathlib import Path

import numpy as np

from . import phrases, sound, voices
from .features import fbank
from .lexicon import COMMON, Lexicon

SEED = 20260504
SHARD = 400  # utterances
NOISES = 320  # of ten seconds
MORE_WORDS = 6000  # the most frequent English words, for texts to train on; most are not in the model's vocabulary


def vocabulary(grammar, lexicon):
    """The vocabulary without [unk]. Words without a pronunciation are left out and printed."""
    extra = phrases.LETTERS + phrases.DAYS + phrases.MONTHS + phrases.UNITS + phrases.ORDINALS
    extra += phrases.DIGITS + phrases.TEENS + phrases.TENS + ["oh", "o'clock"]
    common = [w for w in COMMON.read_text().split("\n")[1:] if w]
    words = grammar.vocabulary() | set(extra) | set(common)
    missing = sorted(w for w in words if not lexicon.known(w))
    if missing:
        print(f"not in the vocabulary, for words/pronunciations.txt does not have them: {' '.join(missing)}")
    return sorted(words - set(missing))


def more_words(lexicon):
    import wordfreq

    good = lambda w: w.isascii() and w.replace("'", "").isalpha() and len(w) > 2 and lexicon.known(w)
    return [w for w in wordfreq.top_n_list("en", MORE_WORDS) if good(w)]


def padded(rng, x):
    """Silence before and after: nothing at all, or a quiet background."""
    before, after = (np.zeros(int(sound.RATE * rng.uniform(0.1, 0.7))) for _ in range(2))
    x = np.concatenate([before, x, after])
    if rng.random() < 0.8:
        floor = sound.shaped(rng, len(x), rng.uniform(-6, 0))
        x = sound.mix(x, sound.unit(floor), rng.uniform(35, 65))
    return x, len(before) / sound.RATE


def utterance(rng, voice, words, others):
    how = voices.manner(rng, voice)
    x, phones = voices.speak(voice, words, how, rng)
    if len(x) < 0.2 * sound.RATE or np.max(np.abs(x)) < 1e-3:
        return None
    x = sound.unit(x)
    others.append(x)
    x, offset = padded(rng, x)
    clean = sound.at_level(sound.heard(rng, x) if rng.random() < 0.3 else x, rng.uniform(-38, -12))
    noisy = sound.mix(sound.heard(rng, x), sound.noise(rng, len(x), others[-40:]), rng.uniform(0, 22))
    noisy = sound.at_level(noisy, rng.uniform(-36, -10))
    return fbank(clean), fbank(noisy), [(p, t + offset) for p, t in phones]


def make_shard(path, number, texts):
    rng = np.random.default_rng([SEED, number])
    clean, noisy, about, others = [], [], [], []
    for words in texts:
        voice = voices.pick(rng)
        try:
            made = utterance(rng, voice, words, others)
        except (OSError, RuntimeError, ValueError, voices.subprocess.SubprocessError) as e:
            print(f"shard {number}: {voice} did not say {' '.join(words)!r}: {e}")
            continue
        if made is None:
            continue
        clean.append(made[0].astype(np.float16))
        noisy.append(made[1].astype(np.float16))
        about.append({"voice": voice, "words": words, "frames": len(made[0]), "phones": made[2]})
    save(path, clean=np.concatenate(clean), noisy=np.concatenate(noisy), about=json.dumps(about))
    hours = sum(a["frames"] for a in about) / 360000
    print(f"shard {number}: {len(about)} utterances, {hours:.2f} h", flush=True)


def save(path, **arrays):
    part = path.with_suffix(".part.npz")
    np.savez(part, **arrays)
    part.replace(path)


def make_noises(path):
    rng = np.random.default_rng([SEED, 10**6])
    rows = []
    for _ in range(NOISES):
        rows.append(fbank(0.05 * sound.heard(rng, sound.noise(rng, 10 * sound.RATE))).astype(np.float16))
    save(path, noise=np.stack(rows))
    print(f"{NOISES} noises of 10 s", flush=True)


def make(folder, shards):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "noises.npz").exists():
        make_noises(folder / "noises.npz")
    grammar, lexicon = phrases.Grammar(), Lexicon()
    words, more = vocabulary(grammar, lexicon), more_words(lexicon)
    for number in range(shards):
        path = folder / f"shard{number:03}.npz"
        if not path.exists():
            texts = phrases.spoken_texts(f"{SEED}/{number}", grammar, words, more)
            make_shard(path, number, list(itertools.islice(texts, SHARD)))
