"""Run with `python -m unittest discover -s tests` in models/speech."""
import io
import math
import random
import struct
import sys
import unittest
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from recipe import align, corpus, evaluate, graph, lm, near, nnet3, phrases  # noqa: E402
from recipe.lexicon import PHONES, UNKNOWN_WORD, Lexicon, without_r  # noqa: E402


class Phrases(unittest.TestCase):
    def test_a_phrasing_says_all_that_it_can_and_nothing_else(self):
        grammar = phrases.Grammar()
        phrase, rng = phrases.parse("(set (to)|) {d:@n} now[d=1]"), random.Random(1)
        said = {" ".join(grammar.say(phrase, rng, {"n": ["one", "two"]}).split()) for _ in range(100)}
        self.assertEqual(said, {"set to one now", "set to two now", "one now", "two now"})

    def test_a_broken_phrasing_is_an_error(self):
        for text in ("(a|b", "a)", "a}"):
            with self.assertRaises((ValueError, IndexError)):
                phrases.parse(text)

    def test_figures_and_clitics_become_words(self):
        self.assertEqual(phrases.plain("what 's 21"), ["what's", "twenty", "one"])

    def test_every_word_of_the_grammar_has_a_pronunciation(self):
        lexicon = Lexicon()
        self.assertEqual([w for w in sorted(phrases.Grammar().vocabulary()) if not lexicon.known(w)], [])


class Languages(unittest.TestCase):
    def setUp(self):
        self.words = ["go", "to", "home", "work"]
        self.model = lm.Trigram([["go", "to", "home"], ["go", "to", "work"], ["go", "home"], ["go", "to", "home"]], self.words)

    def test_probabilities_after_every_history_sum_to_one(self):
        every = self.words + [UNKNOWN_WORD, lm.END]
        self.assertAlmostEqual(sum(self.model.one.values()), 1)
        for table, back, lower in (
            (self.model.two, self.model.back_two, lambda h, w: self.model.one[w]),
            (self.model.three, self.model.back_three,
             lambda h, w: self.model.two[h[1:]].get(w) or self.model.back_two[h[1:]] * self.model.one[w]),
        ):
            for h in table:
                total = sum(table[h].get(w) or back[h] * lower(h, w) for w in every)
                self.assertAlmostEqual(total, 1, places=6, msg=str(h))

    def test_what_was_heard_is_likelier_than_what_was_not(self):
        self.assertLess(self.model.cost(["go", "to", "home"]), self.model.cost(["home", "to", "go"]))
        self.assertTrue(math.isfinite(self.model.cost([UNKNOWN_WORD])))


class Words(unittest.TestCase):
    def test_an_r_after_a_vowel_is_lost_unless_a_vowel_follows(self):
        self.assertEqual(without_r(("K", "AA", "R")), ("K", "AA"))
        self.assertEqual(without_r(("V", "EH", "R", "IY")), ("V", "EH", "R", "IY"))
        self.assertEqual(without_r(("W", "AO", "T", "ER")), ("W", "AO", "T", "AH"))

    def test_a_words_cost_is_paid_by_each_of_its_pronunciations(self):
        def costs(costs):
            lines = graph.hcl({"a": [("AH",), ("EY",)], "at": [("AE", "T")]}, {"a": 1, "at": 2}, costs)
            return sorted(float(f[4]) for f in map(str.split, lines) if len(f) > 4 and f[1:3] == [str(graph.AFTER), "0"])

        self.assertEqual(costs({}), [0, 0, graph.VARIANT_COST])
        self.assertEqual(costs({"a": 4}), [0, 4, 4 + graph.VARIANT_COST])

    def test_of_near_words_a_vowel_counts_half(self):
        auriga, maria = ("AO", "R", "IY", "G", "AH"), ("M", "AH", "R", "IY", "AH")
        self.assertEqual(near.distance(auriga, auriga), 0)
        self.assertEqual(near.distance(auriga, ("AA", "R", "IY", "G", "AH")), 0.5)
        self.assertEqual(near.distance(auriga, ("R", "IY", "G", "AH", "N")), 2)
        self.assertEqual(near.distance(auriga, maria), near.distance(maria, auriga))

    def test_near_words_are_those_of_the_dictionary_that_are_not_known(self):
        found = near.words(Lexicon(), "auriga", {"laura"})
        self.assertIn("aurora", found)
        self.assertFalse({"auriga", "laura", "kitchen"} & set(found))

    def test_a_tree_puts_out_each_word_once_on_each_way(self):
        lines = graph.hcl({"a": [("AH",), ("EY",)], "at": [("AE", "T")], "ate": [("EY", "T")], "eight": [("EY", "T")]},
                          {"a": 1, "at": 2, "ate": 3, "eight": 4}, {})
        arcs = {}
        for line in lines:
            fields = line.split()
            if len(fields) > 2:
                arcs.setdefault(int(fields[0]), []).append((int(fields[1]), int(fields[3])))
        ways = []

        def walk(state, labels):
            for to, label in arcs.get(state, []):
                if to == state or (state == graph.AFTER):
                    continue
                out = labels + [label] * (label > 0)
                ways.append(tuple(out)) if to == graph.AFTER else walk(to, out)

        walk(graph.ROOT, [])
        self.assertEqual(sorted(ways), [(1,), (1,), (2,), (3,), (4,)])


class Network(unittest.TestCase):
    def test_matrices_are_written_with_16_bits_and_read_back_nearly_the_same(self):
        values, stream = np.random.default_rng(1).normal(size=(5, 7)), io.BytesIO()
        nnet3.Writer(stream).matrix(values)
        data = stream.getvalue()
        self.assertEqual(data[:6], b"\0BCM2 ")
        low, span, rows, columns = struct.unpack("<ffii", data[6:22])
        back = low + np.frombuffer(data[22:], "<u2").reshape(rows, columns) * span / 65535
        self.assertLess(np.abs(back - values).max(), span / 65535)

    def test_the_best_path_goes_through_every_word_and_stays_where_it_scores(self):
        said = PHONES.index("AA"), PHONES.index("B")
        scores = np.full((8, nnet3.PDFS), -5.0)
        for t, pdf in enumerate([nnet3.SILENCE_PDF, 2 * said[0], 2 * said[0] + 1, 2 * said[1], nnet3.SILENCE_PDF,
                                 2 * said[0], 2 * said[0] + 1, 2 * said[0] + 1]):
            scores[t, pdf] = 0

        class Two:
            def pronunciations(self, word):
                return {"ab": [("AA", "B"), ("B",)], "a": [("AA",)]}[word]

        g = align.PhoneGraph(["ab", "a"], Two())
        path, score = align.viterbi(scores, *g.arrays(), np.array(sorted(g.start)), np.array(sorted(g.ends)))
        self.assertEqual(score, 0)
        self.assertEqual(path[3], 2 * said[1])


class Tests(unittest.TestCase):
    def test_errors_count_words_substituted_inserted_and_lost(self):
        self.assertEqual(evaluate.errors("a b c".split(), "a x c d".split()), 2)
        self.assertEqual(evaluate.errors(["a"], []), 1)

    def test_no_held_out_voice_is_trained_on(self):
        from recipe import voices

        rng = np.random.default_rng(1)
        picked = {voices.pick(rng) for _ in range(3000)}
        self.assertFalse(picked & set(evaluate.VOICES))
        self.assertTrue(all(v.split("+")[-1] not in voices.HELD_OUT_VARIANTS for v in picked))


if __name__ == "__main__":
    unittest.main()
