"""Cabin noise, music, other talkers and the cabin's reverberation, all computed, each from a seed."""
import numpy as np
from scipy.signal import fftconvolve, lfilter

RATE = 16000
KINDS = ("engine", "road", "wind", "ticks", "music", "babble", "fan")


def shaped(rng, n, slope_db, bumps=3):
    """Noise whose spectrum falls by slope_db per octave, with some resonances."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    f = np.maximum(np.fft.rfftfreq(n, 1 / RATE), 20.0)
    gain = slope_db * np.log2(f / 200.0)
    for _ in range(bumps):
        centre, width = np.exp(rng.uniform(np.log(60), np.log(5000))), rng.uniform(0.15, 0.8)
        gain += rng.uniform(-8, 10) * np.exp(-0.5 * (np.log(f / centre) / width) ** 2)
    return np.fft.irfft(spectrum * 10 ** (gain / 20), n)


def drift(rng, n, hertz, low, high):
    """A slow random curve between low and high."""
    points = max(2, int(n / RATE * hertz) + 2)
    return np.interp(np.linspace(0, points - 1, n), np.arange(points), rng.uniform(low, high, points))


def engine(rng, n):
    """Firing frequency and its orders, with the revolutions drifting."""
    rev = rng.uniform(12, 70) * drift(rng, n, 0.3, 0.9, 1.1)
    phase = 2 * np.pi * np.cumsum(rev) / RATE
    out = np.zeros(n)
    for k in range(1, 25):
        order = k / 2
        out += rng.uniform(0.2, 1.0) * order ** -rng.uniform(0.8, 1.4) * np.sin(order * phase + rng.uniform(0, 6.3))
    return out + 0.3 * np.std(out) * unit(shaped(rng, n, -5))


def road(rng, n):
    return shaped(rng, n, rng.uniform(-8, -3)) * drift(rng, n, 1.0, 0.7, 1.3)


def wind(rng, n):
    return shaped(rng, n, rng.uniform(-6, -1), bumps=2) * drift(rng, n, 3.0, 0.3, 1.6)


def fan(rng, n):
    tone = np.sin(2 * np.pi * rng.uniform(80, 900) * np.arange(n) / RATE)
    return unit(shaped(rng, n, rng.uniform(-5, 0))) + rng.uniform(0, 0.5) * tone


def ticks(rng, n):
    """The indicator's relay over some road noise."""
    out = np.zeros(n)
    step, at = int(RATE * rng.uniform(0.3, 0.5)), int(rng.integers(RATE // 2))
    while at + 800 < n:
        t = np.arange(800) / RATE
        out[at : at + 800] += np.exp(-t * rng.uniform(150, 500)) * np.sin(2 * np.pi * rng.uniform(900, 4000) * t)
        at += step
    return 6 * unit(out) + unit(road(rng, n))


def music(rng, n):
    """Chords, a bass, a tune and a drum, all random."""
    out, beat, root = np.zeros(n), int(RATE * rng.uniform(0.25, 0.6)), rng.uniform(80, 160)
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16, 19, 24])
    brightness = rng.uniform(0.5, 1.6)
    for start in range(0, n, beat):
        notes = list(rng.choice(scale, 3)) + [scale[rng.integers(len(scale))] + 12]
        length = min(n - start, beat * int(rng.integers(1, 4)))
        t = np.arange(length) / RATE
        for note in notes:
            f = root * 2 ** (note / 12)
            envelope = np.exp(-t * rng.uniform(1, 6)) * np.minimum(1, t / 0.01)
            for k in range(1, 9):
                if k * f < 7800:
                    out[start : start + length] += k**-brightness * envelope * np.sin(2 * np.pi * k * f * t)
        if rng.random() < 0.7:
            hit = min(n - start, 2000)
            out[start : start + hit] += rng.uniform(1, 4) * rng.standard_normal(hit) * np.exp(-np.arange(hit) / rng.uniform(100, 600))
    return out


def babble(rng, n, voices):
    """Three to six others talking at once; `voices` are clean utterances."""
    out = np.zeros(n)
    for _ in range(int(rng.integers(2, 6))):
        at = 0
        while at < n:
            voice = voices[rng.integers(len(voices))]
            piece = voice[: n - at]
            out[at : at + len(piece)] += unit(piece) * rng.uniform(0.5, 1.0)
            at += len(piece)
    return out


def noise(rng, n, voices=()):
    """A mixture of one to three kinds, of power one."""
    out = np.zeros(n)
    for _ in range(int(rng.integers(1, 4))):
        kind = KINDS[rng.integers(len(KINDS))]
        if kind == "babble" and not len(voices):
            kind = "road"
        made = babble(rng, n, voices) if kind == "babble" else globals()[kind](rng, n)
        out += unit(made) * rng.uniform(0.3, 1.0)
    return unit(out)


def unit(x):
    power = np.sqrt(np.mean(np.square(x)))
    return x / power if power > 1e-9 else x


def cabin_response(rng):
    """Impulse response from mouth to microphone: direct sound, early reflections, a short tail; sometimes of a room."""
    room = rng.random() < 0.25
    decay = rng.uniform(0.15, 0.4) if room else rng.uniform(0.03, 0.12)  # reverberation time (-60 dB)
    n = int(RATE * decay)
    t = np.arange(n) / RATE
    tail = rng.standard_normal(n) * 10 ** (-3 * t / decay)
    tail[: int(0.001 * RATE)] = 0
    response = tail / max(1e-9, np.sqrt(np.sum(tail**2))) * 10 ** (rng.uniform(-20, -2) / 20)
    for _ in range(int(rng.integers(2, 7))):
        response[int(rng.uniform(0.0007, min(0.012, decay)) * RATE)] += rng.uniform(-0.5, 0.5)
    response[0] = 1.0
    return response


def heard(rng, x):
    """Speech as the cabin's microphone gets it: reflections and an uneven frequency response."""
    if rng.random() < 0.8:
        x = fftconvolve(x, cabin_response(rng))[: len(x)]
    if rng.random() < 0.5:  # a tilt
        a = rng.uniform(-0.6, 0.6)
        x = lfilter([1, -a], [1], x)
    if rng.random() < 0.15:  # narrow band
        spectrum, f = np.fft.rfft(x), np.fft.rfftfreq(len(x), 1 / RATE)
        low, high = rng.uniform(50, 350), rng.uniform(3300, 7000)
        x = np.fft.irfft(spectrum / (1 + (f / high) ** 12) * (f**2 / (f**2 + low**2)), len(x))
    return x


def speech_power(x):
    """Mean power of the frames in which there is speech."""
    frames = np.square(x[: len(x) // 320 * 320]).reshape(-1, 320).mean(1)
    loud = frames[frames > 0.05 * frames.max()] if len(frames) else frames
    return float(loud.mean()) if len(loud) else 1e-9


def mix(x, noise_, snr_db):
    return x + noise_ * np.sqrt(speech_power(x) / 10 ** (snr_db / 10))


def at_level(x, dbfs):
    """Scaled so that the speech has this level below full scale; clipped as a converter clips."""
    return np.clip(x * 10 ** (dbfs / 20) / np.sqrt(speech_power(x) + 1e-12), -1, 1)
