#!/usr/bin/env python3
"""Errors of Muon's Newton-Schulz iterations in groups on Gram matrices, with products rounded to bfloat16: the table of
docs/decisions/0005-newton-schulz-in-pairs.md.  Needs PyTorch only.        python tools/oracle/newton_schulz_pairs.py
"""
import torch

FAST, STABLE = (3.4445, -4.7750, 2.0315), (2.0, -1.5, 0.5)


def rounded(x):
    return x.bfloat16().float()


def symmetric(x):
    return torch.triu(x) + torch.triu(x, 1).T


def exact(x):
    for a, b, c in [FAST] * 8 + [STABLE] * 2:
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def printed(x):
    x = rounded(x)
    for a, b, c in [FAST] * 8 + [STABLE] * 2:
        gram = rounded(x @ x.T)
        x = rounded(a * x + rounded(b * gram + c * (gram @ gram)) @ x)
    return x


def grouped(x, groups):
    x, one, (a, b, c) = rounded(x), torch.eye(x.shape[0]), FAST
    for size in groups:
        gram, factor = rounded(symmetric(x @ x.T)), None
        for i in range(size):
            p = rounded(a * one + b * gram + c * symmetric(gram @ gram))
            factor = p if factor is None else rounded(symmetric(p @ factor))
            if i + 1 < size:
                gram = rounded(symmetric(p @ rounded(symmetric(p @ gram))))
        x = rounded(factor @ x)
    e = rounded(one - symmetric(x @ x.T))
    e2, d1 = rounded(symmetric(e @ e)), rounded(e / 2 + symmetric(e @ e) / 2)
    rest = rounded(-one / 4 + 0.75 * e + e2 / 4 + symmetric(e2 @ e) / 4)
    following = rounded(symmetric(e2 @ rest))
    d2 = rounded(following / 2 + symmetric(following @ following) / 2)
    return rounded(x + rounded(d1 + d2 + symmetric(d2 @ d1)) @ x)


def matrix(p, q, singular_values):
    if singular_values is None:
        return torch.randn(p, q, dtype=torch.float64)
    u, v = (torch.linalg.qr(torch.randn(n, p, dtype=torch.float64))[0] for n in (p, q))
    return (u * singular_values) @ v.T


def main():
    index = torch.arange(1, 193).double()
    spiked = torch.cat([10 * torch.ones(4).double(), index[:188] ** -0.7])
    print("matrix: error as printed, pairs, (3, 3, 2), (4, 4)")
    for name, p, q, values in [("Gaussian, 192 x 512", 192, 512, None), ("Gaussian, 256 x 256", 256, 256, None), ("s = 1/i, 192 x 512", 192, 512, 1 / index),
                               ("four of 10, then i^-0.7, 192 x 512", 192, 512, spiked)]:
        torch.manual_seed(p + q)
        g = matrix(p, q, values)
        g /= g.norm()
        right = exact(g)
        results = [printed(g.float())] + [grouped(g.float(), groups) for groups in ([2] * 4, [3, 3, 2], [4, 4])]
        print(f"{name}:", ", ".join(f"{((r.double() - right).norm() / right.norm()).item():.3g}" for r in results))


main()
