"""Kaldi's filter-bank features, with the options that are written to the model's conf/fbank.conf."""
import kaldi_native_fbank as knf
import numpy as np

from .sound import RATE

BINS = 40
OPTIONS = {
    "sample-frequency": RATE,
    "num-mel-bins": BINS,
    "low-freq": 60,
    "high-freq": 7600,
    "dither": 0,
    "use-energy": False,
    "snip-edges": True,
}


def conf():
    text = lambda v: str(v).lower()
    return "".join(f"--{name}={text(value)}\n" for name, value in OPTIONS.items())


def fbank(sound):
    """Log mel energies of sound in -1..1, one row per 10 ms; rounded to 16 bits as the recogniser gets it."""
    options = knf.FbankOptions()
    options.frame_opts.samp_freq = OPTIONS["sample-frequency"]
    options.frame_opts.dither = OPTIONS["dither"]
    options.frame_opts.snip_edges = OPTIONS["snip-edges"]
    options.mel_opts.num_bins = OPTIONS["num-mel-bins"]
    options.mel_opts.low_freq = OPTIONS["low-freq"]
    options.mel_opts.high_freq = OPTIONS["high-freq"]
    options.use_energy = OPTIONS["use-energy"]
    computer = knf.OnlineFbank(options)
    samples = np.clip(np.round(np.asarray(sound) * 32768), -32768, 32767)
    computer.accept_waveform(RATE, samples.tolist())
    computer.input_finished()
    rows = [computer.get_frame(i) for i in range(computer.num_frames_ready)]
    return np.stack(rows) if rows else np.zeros((0, BINS), np.float32)
