#!/usr/bin/env python3
"""Makes packed.pt: libtorch's packed matrix product, which has no C++ function that tch could bind.

    python3 -m venv venv && venv/bin/pip install torch==2.11.0
    venv/bin/python models/language/src/packed.py

The file is a TorchScript module of the two functions below and nothing else; `unzip -p packed.pt packed/code/__torch__.py`
shows them.
"""

import io
import pathlib
import zipfile

import torch


class Packed(torch.nn.Module):
    @torch.jit.export
    def pack(self, weight):
        return torch.ops.mkldnn._reorder_linear_weight(weight, 1)

    def forward(self, x, weight):
        return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")


if __name__ == "__main__":
    written = io.BytesIO()
    torch.jit.save(torch.jit.script(Packed()), written)
    # Without where the source lay when it was compiled.
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(pathlib.Path(__file__).with_suffix(".pt"), "w") as new:
        for entry in sorted(old.namelist()):
            if not entry.endswith(".debug_pkl"):
                new.writestr(zipfile.ZipInfo("packed/" + entry.split("/", 1)[1]), old.read(entry))
