#!/usr/bin/env python3
"""Writes models as PyTorch itself does, to try the runner on: two.pt (scripted), traced.pt and two.pt2 (compiled; needs a C++ compiler).

    python make_models.py FOLDER        with torch of LibTorch's version (third_party/requirements-native.txt)

Prints what the models answer to the numbers 0/16 to 15/16 as two rows of eight, and zeros.
"""

import pathlib
import sys

import torch


class Two(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 4)

    def forward(self, x, y):
        return torch.softmax(self.linear(x) + y, 1), x.sum(1)


def main():
    folder = pathlib.Path(sys.argv[1])
    torch.manual_seed(0)
    model = Two().eval()
    x, y = torch.arange(16.0).reshape(2, 8) / 16, torch.zeros(2, 4)
    print(model(x, y))
    torch.jit.script(model).save(folder / "two.pt")
    torch.jit.trace(model, (x, y)).save(folder / "traced.pt")
    batch = torch.export.Dim("batch", min=1, max=1024)
    exported = torch.export.export(model, (torch.ones(3, 8), torch.ones(3, 4)), dynamic_shapes=({0: batch}, {0: batch}))
    torch._inductor.aoti_compile_and_package(exported, package_path=str(folder / "two.pt2"))


if __name__ == "__main__":
    main()
