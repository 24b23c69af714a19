"""Word error rates of a model folder, through libvosk, fed in blocks of 100 ms as the speech node does."""
import json
import random
import time
import wave
from pathlib import Path

import numpy as np

from . import phrases, sound, voices

SEED = 777
SNRS = (None, 20, 10, 5, 0)  # None: nothing added
TEXTS = 12  # of each voice
VOICES = voices.HELD_OUT + ["piper:joe"]
RECORDINGS = {
    "digits.wav": "one zero zero zero one nine oh two one oh zero one eight zero three",
    "rhino_within_context.wav": None,  # words that the model does not have; printed, not scored
}


def test_texts(rng, grammar):
    """Phrasings that neither training nor the language model has seen, and strings of digits."""
    for i in range(TEXTS):
        if i % 6 == 0:
            yield phrases.digit_string(rng)
        elif i % 12 == 1:
            yield phrases.WAKE.split()
        else:
            yield grammar.request(rng, held_out=True)


def write_wav(path, x):
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(sound.RATE)
        out.writeframes(np.round(np.clip(x, -1, 1) * 32767).astype("<i2").tobytes())


def make_tests(folder, tested=VOICES, seed=SEED, texts_of=test_texts):
    """Utterances of texts and noises that training has not seen, at each signal-to-noise ratio."""
    folder = Path(folder)
    if (folder / "tests.json").exists():
        return json.loads((folder / "tests.json").read_text())
    folder.mkdir(parents=True, exist_ok=True)
    grammar, tests = phrases.Grammar(), []
    for v, voice in enumerate(tested):
        texts, rng = random.Random(f"{seed}/{voice}"), np.random.default_rng([seed, v])
        others = []
        for t, words in enumerate(texts_of(texts, grammar)):
            how = voices.manner(rng, voice)
            how.size = 1.0  # the voice as it is
            x, phones = voices.speak(voice, words, how, rng)
            x = sound.unit(x)
            silence = np.zeros(int(0.4 * sound.RATE))
            x = np.concatenate([silence, x, silence])
            others.append(x)
            noise = sound.noise(rng, len(x), others[-10:-1])
            heard = sound.heard(rng, x)
            name = f"{voice.replace(':', '_')}_{t:02}"
            for snr in SNRS:
                mixed = x if snr is None else sound.mix(heard, noise, snr)
                write_wav(folder / f"{name}_{snr}.wav", sound.at_level(mixed, -24))
            spoken = [(p, s + 0.4) for p, s in phones]
            tests.append({"name": name, "voice": voice, "words": words, "phones": spoken})
    (folder / "tests.json").write_text(json.dumps(tests))
    return tests


class Decoder:
    def __init__(self, model):
        import vosk

        vosk.SetLogLevel(-1)
        self.vosk, self.model = vosk, vosk.Model(str(model))
        self.heard_s = self.took_s = 0.0

    def words(self, path, grammar=None):
        """What is recognised, as libvosk's words with start, end and conf."""
        with wave.open(str(path)) as file:
            rate, data = file.getframerate(), file.readframes(file.getnframes())
        begun = time.process_time()
        arguments = [self.model, rate] + ([json.dumps(grammar)] if grammar else [])
        recogniser = self.vosk.KaldiRecognizer(*arguments)
        recogniser.SetWords(True)
        found, block = [], rate // 10 * 2
        for at in range(0, len(data), block):
            if recogniser.AcceptWaveform(data[at : at + block]):
                found += json.loads(recogniser.Result()).get("result", [])
        found += json.loads(recogniser.FinalResult()).get("result", [])
        self.took_s += time.process_time() - begun
        self.heard_s += len(data) / 2 / rate
        return found


def errors(reference, found):
    """Words substituted, inserted or lost."""
    row = list(range(len(found) + 1))
    for i, r in enumerate(reference, 1):
        before, row = row, [i]
        for j, f in enumerate(found, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (r != f)))
    return row[-1]


def wer_table(decoder, folder, tests, log):
    columns = ["clean" if s is None else f"{s} dB" for s in SNRS]
    log(f"| voice (12 utterances) | {' | '.join(columns)} |\n|---|{'---:|' * len(SNRS)}")
    total, times, wrong_texts = np.zeros((2, len(SNRS))), [], []
    for voice in VOICES:
        counts = np.zeros((2, len(SNRS)))
        for test in (t for t in tests if t["voice"] == voice):
            for i, snr in enumerate(SNRS):
                found = decoder.words(folder / f"{test['name']}_{snr}.wav")
                said = [f["word"] for f in found]
                wrong = errors(test["words"], said)
                counts[:, i] += wrong, len(test["words"])
                if snr is None and wrong:
                    wrong_texts.append(f"{voice}: {' '.join(test['words'])} -> {' '.join(said)}")
                if snr is None and not wrong and test["phones"]:
                    spoken = [(p, e) for p, e in test["phones"]]
                    times.append((found[0]["start"] - spoken[0][1], found[-1]["end"] - spoken[-2][1]))
        if voice != "piper:joe":
            total += counts
        log(f"| {voice} | " + " | ".join(f"{100 * w / n:.1f} %" for w, n in counts.T) + " |")
    log("| all but joe | " + " | ".join(f"{100 * w / n:.1f} %" for w, n in total.T) + " |")
    if times:
        first, last = np.median(np.abs(np.array(times)), 0)
        log(f"word times (flite's own account): first start off by {1000 * first:.0f} ms, last end by {1000 * last:.0f} ms (medians)")
    return total[0] / total[1], wrong_texts


def wake_table(decoder, folder, tests, log):
    """The wake phrase as a grammar given at run time."""
    wake = phrases.WAKE
    for snr in (None, 5):
        hits, said, false, others = 0, 0, 0, 0
        for test in tests:
            text = " ".join(f["word"] for f in decoder.words(folder / f"{test['name']}_{snr}.wav", [wake, "[unk]"]))
            if " ".join(test["words"]).startswith(wake):
                said, hits = said + 1, hits + (wake in text)
            else:
                others, false = others + 1, false + (wake in text)
        log(f"wake phrase by run-time grammar, {snr if snr is not None else 'no'} dB noise: heard {hits}/{said}, false {false}/{others}")


def run(model, folder, recordings, log=print, verbose=False):
    folder = Path(folder)
    tests, decoder = make_tests(folder), Decoder(model)
    rates, wrong = wer_table(decoder, folder, tests, log)
    log(f"{decoder.took_s / decoder.heard_s:.3f} s of one core a second of sound")
    wake_table(decoder, folder, tests, log)
    for name, text in RECORDINGS.items():
        path = Path(recordings) / name
        if not path.exists():
            log(f"{name}: skipped, it is not in {recordings}")
            continue
        found = decoder.words(path)
        said = " ".join(f["word"] for f in found)
        rate = f"{errors(text.split(), said.split())} errors in {len(text.split())} words: " if text else ""
        log(f"{name} (a real person): {rate}{said}")
    if verbose:
        log("\n".join(wrong))
    return rates
