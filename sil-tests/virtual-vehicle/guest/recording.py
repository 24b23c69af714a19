"""Reads recordings of auriga-recorder with the library of the MCAP project and compares them with the inputs.

recording.py contains RECORDING WHAT [COUNT] exit code: whether it contains WHAT; the file may still be written
recording.py spoken RAW COUNT [ended]        exit code: whether it contains so many stretches of sound, the last one ended
recording.py can|can-filtered|camera|speech|talk RECORDING …     the checks; each prints its figures
"""

import sys
import wave

from mcap.exceptions import McapError
from mcap.stream_reader import StreamReader
from mcap.records import Channel, Message, Schema
from mcap_protobuf.decoder import DecoderFactory


def messages(path):
    """(topic, log time, message) of all readable messages."""
    decoders, factory, schemas, channels = {}, DecoderFactory(), {}, {}
    with open(path, "rb") as file:
        try:
            for record in StreamReader(file, skip_magic=False).records:
                if isinstance(record, Schema):
                    schemas[record.id] = record
                elif isinstance(record, Channel):
                    channels[record.id] = record
                    decoders[record.id] = factory.decoder_for(record.message_encoding, schemas.get(record.schema_id))
                elif isinstance(record, Message):
                    yield channels[record.channel_id].topic, record.log_time, decoders[record.channel_id](record.data)
        except (McapError, EOFError, OSError):
            return  # the rest is still being written


def stamp_of(message):
    """Time of the measurement, ns."""
    if hasattr(message, "header"):
        return message.header.stamp_ns
    return message.timestamp.seconds * 10**9 + message.timestamp.nanos


CLEARED = 3  # FaultState in msgs/proto/auriga/v1/common.proto


def matcher(what):
    """The predicate for WHAT."""
    kind, _, rest = what.partition(" ")
    if kind == "usage":
        return lambda topic, m: topic.startswith("usage") and m.node == rest.removeprefix("of ")
    if kind == "fault":
        return lambda topic, m: topic.startswith("fault") and m.code == rest
    if kind == "cleared":
        return lambda topic, m: topic.startswith("fault") and m.code == rest and m.state == CLEARED
    if kind == "frame":
        return lambda topic, m: topic == "can/frames" and any(f.id == int(rest, 16) for f in m.frames)
    if kind in ("image", "audio"):
        after = int(rest.removeprefix("after "))
        of = {"image": "camera/front/image", "audio": "speech/audio"}[kind]
        return lambda topic, m: topic == of and stamp_of(m) > after
    return lambda topic, m: topic == what


def contains(path, what, count="1"):
    matches = matcher(what)
    left = int(count)
    for topic, _, message in messages(path):
        left -= matches(topic, message)
        if left <= 0:
            sys.exit(0)
    sys.exit(1)


def expect(truth, text):
    print(("    ok: " if truth else "FAILED: ") + text)
    expect.failed |= not truth


expect.failed = False


def intervals(path):
    with open(path) as file:
        return [tuple(map(int, line.split())) for line in file]


def faults(path):
    """Code → how often it was reported."""
    counts = {}
    for topic, _, m in messages(path):
        if topic.startswith("fault"):
            counts[m.code] = max(counts.get(m.code, 0), m.count)
    print("    faults:", ", ".join(f"{code} {n}" for code, n in sorted(counts.items())) or "none")
    return counts


def cleared(path, code):
    """How often the fault was cleared."""
    return sum(topic.startswith("fault") and m.code == code and m.state == CLEARED for topic, _, m in messages(path))


def frames_of(path):
    return [f for topic, _, m in messages(path) if topic == "can/frames" for f in m.frames]


def states_of(path):
    return [m for topic, _, m in messages(path) if topic == "vehicle/state"]


def key(f):
    return (f.id, f.extended, f.fd, f.remote, f.error, b"" if f.remote else bytes(f.data))


def dumped(path):
    """(time in ns, key) of each line of candump -L: (SECONDS) BUS ID#DATA, ID#R of a remote, ID##FLAGS DATA of an FD frame."""
    with open(path) as file:
        for line in file:
            time, _, frame = line.split()[:3]
            identifier, _, data = frame.partition("#")
            fd, remote = data.startswith("#"), data.startswith("R")
            word = int(identifier, 16)
            error = len(identifier) == 8 and bool(word & 0x2000_0000)
            data = b"" if remote else bytes.fromhex(data[2:] if fd else data)
            seconds, fraction = time.strip("()").split(".")
            stamp = int(seconds) * 10**9 + int(fraction) * 1000
            yield stamp, (word & 0x1FFF_FFFF, len(identifier) == 8 and not error, fd, remote, error, data)


def can_check(path, candump, suspended):
    recorded, dumped_frames = frames_of(path), list(dumped(candump))
    # candump started later.
    last = recorded[len(recorded) - len(dumped_frames) :]
    same = [key(f) for f in last] == [k for _, k in dumped_frames]
    kinds = [sum(getattr(f, kind) for f in recorded) for kind in ("extended", "fd", "remote", "error")]
    expect(len(dumped_frames) > 1020 and same, f"{len(dumped_frames)} frames, the same and in the same order as candump's")
    expect(min(kinds) > 0, "of them {} extended, {} FD, {} remote, {} error frames".format(*kinds))
    offsets = sorted(stamp - f.stamp_ns for f, (stamp, _) in zip(last, dumped_frames))
    middle = offsets[len(offsets) // 2]
    off = sorted(abs(o - middle) / 1e3 for o in offsets)
    expect(off[-1] < 5000, f"stamps as candump's: off by {off[len(off) // 2]:.0f} µs (median), {off[-1]:.0f} µs (worst)")
    suspensions = intervals(suspended)
    inside = sum(from_ns < f.stamp_ns < to_ns for f in recorded for from_ns, to_ns in suspensions if f.id == 0x123)
    expect(inside == 20, f"{inside} of 20 frames that arrived while the node was suspended have their arrival time")
    speeds = [s.speed_mps for s in states_of(path) if s.HasField("speed_mps")]
    expect(any(abs(s - 20.0) < 1e-9 for s in speeds), "a frame of 72 km/h becomes a vehicle state of 20 m/s")
    reported = faults(path)
    for code in ("can-error-frame", "can-bus-off"):
        expect(reported.get(code, 0) == 1, f"{code} is reported once")
    expect(cleared(path, "can-bus-off") == 1, "the restart of the controller clears can-bus-off")
    expect("can-lost" not in reported, "the bus was never lost")


def can_filtered_check(path):
    frames, states = frames_of(path), states_of(path)
    expect(not any(f.id == 0x7A0 for f in frames), "frames that are not in the database are filtered in the kernel")
    known = sum(f.id == 0xD0 for f in frames)
    expect(known >= 20 and states[-1].frames_total == len(frames), f"{known} frames of the database are counted and recorded")
    expect(states[-1].frames_unknown == 0, "none is unknown")
    reported = faults(path)
    back = cleared(path, "can-lost")
    expect(reported.get("can-lost", 0) >= 1 and back == 2, "the bus was lost twice and came back twice")


def camera_check(path, suspended):
    images = [(m, log_time) for topic, log_time, m in messages(path) if topic == "camera/front/image"]
    stamps = [stamp_of(m) for m, _ in images]
    ages = sorted((log_time - stamp_of(m)) / 1e6 for m, log_time in images)
    gaps = sorted((b - a) / 1e6 for a, b in zip(stamps, stamps[1:]))
    expect(len(images) >= 80, f"{len(images)} frames, {gaps[len(gaps) // 2]:.0f} ms apart (median)")
    expect(gaps[0] > 0, "each later than the one before")
    print(f"    age when published: {ages[len(ages) // 2]:.0f} ms (median), {ages[-1]:.0f} ms (worst)")
    inside = sum(from_ns < s < to_ns for s in stamps for from_ns, to_ns in intervals(suspended))
    expect(inside >= 1, f"{inside} frames have a stamp within the suspension of the node: by the kernel")
    distinct = len({bytes(m.data) for m, _ in images})
    expect(distinct > 0.9 * len(images), f"{distinct} different images")
    reported = faults(path)
    expect(reported.get("camera-lost", 0) >= 1, "the loss of the camera is reported")


def wav(path):
    import numpy

    with wave.open(path) as file:
        samples = numpy.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
        return samples.mean(axis=1), file.getframerate()


def loudness(samples, rate_hz):
    """Every 10 ms."""
    import numpy

    step = rate_hz // 100
    blocks = samples[: len(samples) // step * step].astype(float).reshape(-1, step)
    return numpy.sqrt((blocks**2).mean(axis=1))


def speech_check(path, played, suspended):
    import numpy

    undisturbed_until = intervals(suspended)[0][0]
    chunks = [m for topic, _, m in messages(path) if topic == "speech/audio"]
    captured = [m for m in chunks if stamp_of(m) < undisturbed_until - 10**9]
    times = [m.header.stamp_ns / 1e6 for m in captured]
    sizes = [len(m.pcm_s16le) // 2 for m in captured]
    off_by = [abs(b - a - size / 16) for a, b, size in zip(times, times[1:], sizes)]
    breaks = sum(off > 5 for off in off_by)
    expect(sum(sizes) >= 320_000, f"{sum(sizes) / 16000:.1f} s of audio")
    expect(breaks == 0, f"{breaks} gaps in it: no sample is lost")
    off = max(off_by)
    expect(off < 5, f"stamps are off from the count of samples by {off:.2f} ms at most")
    rate = sum(sizes[:-1]) / (times[-1] - times[0]) * 1000
    expect(abs(rate - 16000) < 50, f"{rate:.1f} samples a second by the stamps")

    source = loudness(*wav(played))
    capture = numpy.zeros(int((times[-1] - times[0]) / 10) + 4)
    for time, chunk in zip(times, captured):
        at = round((time - times[0]) / 10)
        loud = loudness(numpy.frombuffer(chunk.pcm_s16le, "<i2"), 16000)
        capture[at : at + len(loud)] = loud[: len(capture) - at]
    source = (source - source.mean()) / source.std()
    parts = (capture[lag : lag + len(source)] for lag in range(len(capture) - len(source) + 1))
    best = max((float(((p - p.mean()) / (p.std() + 1e-9) * source).mean()) for p in parts), default=0.0)
    expect(best > 0.9, f"the captured sound equals the played one: loudness by stamps correlates with {best:.3f}")
    ages = sorted((t - stamp_of(m)) / 1e6 for topic, t, m in messages(path) if topic == "speech/audio")
    print(f"    age of a chunk's first sample: {ages[len(ages) // 2]:.0f} ms (median), {ages[-1]:.0f} ms (worst)")
    early = [m for topic, t, m in messages(path) if topic.startswith("fault") and t < undisturbed_until]
    early = sum(m.code == "audio-overrun" for m in early)
    expect(early == 0, f"{early} losses are reported before the node is suspended")
    levels = [m for topic, _, m in messages(path) if topic == "speech/level"]
    loudest = max(m.rms_dbfs for m in levels)
    expect(-40 < loudest < 0 and len(levels) > 50, f"{len(levels)} levels are published, the loudest {loudest:.1f} dBFS")
    reported = faults(path)
    expect(reported.get("audio-overrun", 0) > early, "samples lost during the suspension are reported")
    expect(reported.get("audio-device", 0) >= 1, "the loss of the card is reported")


def stretches(path):
    """Stretches of sound in a file of raw samples (16 kHz, mono), as from and to in blocks of 10 ms, and the loudness. A
    pause longer than that of the synthesiser at a comma separates stretches."""
    import numpy

    loud = loudness(numpy.fromfile(path, "<i2"), 16000)
    found = []
    for block in numpy.flatnonzero(loud > 100):
        if found and block - found[-1][1] < 120:
            found[-1][1] = block
        else:
            found.append([block, block])
    return found, loud


def spoken(path, count, ended=""):
    found, loud = stretches(path)
    sys.exit(0 if len(found) >= int(count) and (not ended or len(loud) - found[-1][1] > 150) else 1)


def talk_check(path, raw, words_per_minute):
    import numpy
    import subprocess
    import tempfile

    all_messages = list(messages(path))
    utterances = [m.text for topic, _, m in all_messages if topic == "speech/utterance" and m.final]
    print(f"    utterances: {'; '.join(utterances)}")
    intents = [m.name for topic, _, m in all_messages if topic == "language/intent"]
    expect(intents == ["help", "help", "stop"], f"intents: {', '.join(intents)}")
    pieces = [m for topic, _, m in all_messages if topic == "language/turn"]
    text = "".join(m.text for m in pieces if m.turn_id == pieces[0].turn_id).strip()
    found, loud = stretches(raw)
    lengths = [(to - begin + 1) / 100 for begin, to in found]
    expect(len(found) == 3, f"the loudspeaker plays for {', '.join(f'{length:.2f}' for length in lengths)} s")

    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["espeak-ng", "-v", "en-gb", "-s", words_per_minute, "-w", file.name, text], check=True)
        engine = loudness(*wav(file.name))
    engine = engine[numpy.flatnonzero(engine > 100)[0] :]
    begin = found[0][0]
    best = 0.0
    for first in range(max(begin - 20, 0), begin + 20):
        part = loud[first : first + len(engine)]
        if len(part) == len(engine):
            best = max(best, float(numpy.corrcoef(part, engine)[0, 1]))
    expect(best > 0.95, f"the first answer ({len(text)} letters) is complete: its loudness correlates with the synthesiser by {best:.3f}")
    expect(lengths[1] < lengths[0] - 0.5, "the second answer is interrupted by speaking")
    faults(path)


def main():
    name, *words = sys.argv[1:]
    checks = {"contains": contains, "can": can_check, "can-filtered": can_filtered_check, "camera": camera_check, "speech": speech_check,
              "talk": talk_check, "spoken": spoken}
    checks[name](*words)
    sys.exit(1 if expect.failed else 0)


if __name__ == "__main__":
    main()
