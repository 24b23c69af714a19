"""The recipe's steps; `all` runs them in order. Each resumes where it was interrupted."""
import argparse
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
STEPS = ("corpus", "acoustic", "language", "export", "evaluate")


def main():
    parser = argparse.ArgumentParser(prog="python -m recipe", description=__doc__)
    parser.add_argument("step", choices=STEPS + ("all", "tune"))
    parser.add_argument("--work", type=Path, required=True, help="scratch folder, some gigabytes")
    parser.add_argument("--model", type=Path, default=HERE / "model", help="model folder to write or evaluate")
    parser.add_argument("--shards", type=int, default=36, help="of 400 utterances each")
    parser.add_argument("--net", default="final", help="which network of the work folder to export")
    parser.add_argument("--recordings", type=Path, default=HERE.parents[2] / "shared" / "data" / "speech",
                        help="folder of real recordings to evaluate on; skipped when absent")
    parser.add_argument("--verbose", action="store_true", help="evaluate: also print what was misheard")
    options = parser.parse_args()
    import torch

    from . import build, corpus, evaluate, tune

    torch.set_num_threads(1)
    for step in STEPS if options.step == "all" else (options.step,):
        if step == "corpus":
            corpus.make(options.work / "corpus", options.shards)
        elif step == "acoustic":
            build.acoustic(options.work)
        elif step == "language":
            build.language(options.model)
        elif step == "export":
            build.export(options.work, options.model, options.net)
        elif step == "tune":
            tune.run(options.work, options.model, options.net)
        else:
            evaluate.run(options.model, options.work / "tests", options.recordings, verbose=options.verbose)


if __name__ == "__main__":
    main()
