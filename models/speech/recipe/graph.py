"""The search graph, in two halves that libvosk composes as it decodes: graph/HCLr.fst (words as sounds) and graph/Gr.fst
(sentences as words), so that a program may bring a grammar of its own.

HCLr is a tree of pronunciations with a loop over optional silence. OpenFst's lookahead renumbers the words: words.txt has the
new numbers.
"""
import os
import subprocess
from pathlib import Path

from .lexicon import UNKNOWN_WORD
from .nnet3 import BOUNDARY, PHONE_TABLE, first_id, phone_id

UNKNOWN_FORM = ("UNK", "UNK", "UNK", "UNK")  # at least 120 ms
VARIANT_COST = 0.7  # of each pronunciation after the first
SILENCE_COST = 0.7
ROOT, AFTER, SILENT = 0, 1, 2  # states: a word begins; a word has ended; silence


def positioned(form):
    if len(form) == 1:
        return [f"{form[0]}_S"]
    return [f"{form[0]}_B"] + [f"{p}_I" for p in form[1:-1]] + [f"{form[-1]}_E"]


class Tree:
    """Pronunciations that share their beginnings."""

    def __init__(self):
        self.children, self.words, self.below = [{}], [{}], [set()]

    def add(self, word, form, cost):
        node = 0
        self.below[0].add(word)
        for phone in positioned(form):
            if phone not in self.children[node]:
                self.children[node][phone] = len(self.children)
                self.children.append({})
                self.words.append({})
                self.below.append(set())
            node = self.children[node][phone]
            self.below[node].add(word)
        self.words[node][word] = min(cost, self.words[node].get(word, cost))

    def arcs(self, ids):
        """A word is output where no other is possible, at the latest at its end."""
        state = lambda node: ROOT if node == 0 else node + 2
        lines = []
        for node, children in enumerate(self.children):
            for phone, child in children.items():
                only = next(iter(self.below[child])) if len(self.below[child]) == 1 < len(self.below[node]) else None
                label = ids[only] if only else 0
                p = phone_id(phone)
                lines.append(f"{state(node)} {state(child)} {first_id(p)} {label} 0")
                lines.append(f"{state(child)} {state(child)} {first_id(p) - 1} 0 0")
            for word, cost in self.words[node].items():
                label = ids[word] if len(self.below[node]) > 1 else 0
                lines.append(f"{state(node)} {AFTER} 0 {label} {cost:.3f}")
        return lines


def hcl(pronunciations, ids, costs):
    tree = Tree()
    for word, forms in pronunciations.items():
        for i, form in enumerate(forms):
            tree.add(word, form, costs.get(word, 0.0) + (VARIANT_COST if i else 0.0))
    silence = phone_id("SIL")
    lines = [
        f"{AFTER} {ROOT} 0 0 {SILENCE_COST}",
        f"{AFTER} {SILENT} {first_id(silence)} 0 {SILENCE_COST}",
        f"{SILENT} {SILENT} {first_id(silence) - 1} 0 0",
        f"{SILENT} {ROOT} 0 0 0",
    ]
    # The first line's state is the start.
    return lines + tree.arcs(ids) + [f"{AFTER} 0", f"{SILENT} 0"]


def _tool(*command, text=None):
    # Debian's OpenFst tools know the lookahead types only when their library is there beforehand.
    environment = os.environ | {"LD_PRELOAD": "libfstlookahead.so.22"}
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=environment)
    if done.returncode or done.stderr:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")


def write(folder, pronunciations, model, costs):
    """`pronunciations`: word -> forms, without [unk]; `model`: an lm.Trigram over the same words; `costs` (word -> -ln): of
    words with a penalty."""
    folder = Path(folder)
    (folder / "phones").mkdir(parents=True, exist_ok=True)
    pronunciations = {UNKNOWN_WORD: [UNKNOWN_FORM]} | pronunciations
    ids = {w: i + 1 for i, w in enumerate(pronunciations)}
    fst, relabel = folder / "HCL.tmp", folder / "relabel.tmp"
    _tool("fstcompile", "-", str(fst), text="\n".join(hcl(pronunciations, ids, costs)) + "\n")
    _tool("fstarcsort", "--sort_type=olabel", str(fst), str(fst))
    _tool("fstconvert", "--fst_type=olabel_lookahead", f"--save_relabel_opairs={relabel}", str(fst), str(folder / "HCLr.fst"))
    renumbered = dict(map(int, line.split()) for line in relabel.read_text().splitlines())
    ids = {w: renumbered[i] for w, i in ids.items()}
    _tool("fstcompile", "-", str(fst), text="\n".join(model.arcs(ids)) + "\n")
    _tool("fstarcsort", "--sort_type=ilabel", str(fst), str(fst))
    _tool("fstconvert", "--fst_type=const", str(fst), str(folder / "Gr.fst"))
    fst.unlink()
    relabel.unlink()
    table = [("<eps>", 0)] + sorted(ids.items(), key=lambda e: e[1])
    (folder / "words.txt").write_text("".join(f"{w} {i}\n" for w, i in table))
    (folder / "disambig_tid.int").write_text(f"{2 * len(PHONE_TABLE) + 1}\n")  # none: the tree needs no such symbols
    place = lambda name: BOUNDARY[name[-1]] if "_" in name else "nonword"
    (folder / "phones" / "word_boundary.int").write_text("".join(f"{i + 1} {place(n)}\n" for i, n in enumerate(PHONE_TABLE)))
