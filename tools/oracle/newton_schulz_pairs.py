#!/usr/bin/env python3
"""Muon's Newton-Schulz iterations in pairs: the constants of kFastPair and kStablePair in src/kernels/cpu/muon.cpp, and errors with products
rounded to bfloat16, the table of docs/decisions/0005-newton-schulz-in-pairs.md.  Needs PyTorch only.    python tools/oracle/newton_schulz_pairs.py
"""
from decimal import Decimal, getcontext

import torch

FAST, STABLE = (3.4445, -4.7750, 2.0315), (2.0, -1.5, 0.5)


def rounded(x):
    return x.bfloat16().float()


def symmetric(x):
    return torch.triu(x) + torch.triu(x, 1).mT


# Polynomials are lists of coefficients, lowest first.
def plus(p, q, scale=1):
    return [(p[i] if i < len(p) else 0) + scale * (q[i] if i < len(q) else 0) for i in range(max(len(p), len(q)))]


def times(p, q):
    out = [Decimal(0)] * (len(p) + len(q) - 1)
    for i, a in enumerate(p):
        for j, b in enumerate(q):
            out[i + j] += a * b
    return out


def leading_root(p):
    """The r of half the degree n whose square agrees with p down to the coefficient of degree n."""
    n = (len(p) - 1) // 2
    r = [Decimal(0)] * n + [p[2 * n].sqrt()]
    for k in range(n - 1, -1, -1):
        r[k] = (p[n + k] - times(r, r)[n + k]) / (2 * r[n])
    return r


def pair_scheme(coefficients, shift, raised, sign, u0=None, add=False):
    """Two iterations as one factor of x: Q(t) = w (w + u) + v with w = b^2 + d, t = x x^T - shift I, and b, d, u, v of degree 3 at most.

    With e = w + u / 2, Q is e^2 - u^2 / 4 + v: e is Q's leading root, its constant raised so that what is left has a negative coefficient of degree 6;
    the upper coefficients of what is left are those of -u^2 / 4, the lower ones go to v.  u0 None: such that w is 0 where t is.
    `add`: of Q - I instead, which is added to x.
    """
    getcontext().prec = 50
    a, b, c = (Decimal(str(k)) for k in coefficients)
    x = [Decimal(str(shift)), Decimal(1)]
    first = plus([a], plus(times([b], x), times([c], times(x, x))))
    gram = times(x, times(first, first))
    whole = times(first, plus([a], plus(times([b], gram), times([c], times(gram, gram)))))
    e = leading_root(whole)
    e[0] += Decimal(str(raised))
    left = plus(whole, times(e, e), -1)
    u3 = sign * 2 * (-left[6]).sqrt()
    u2 = -2 * left[5] / u3
    u1 = (-4 * left[4] - u2 * u2) / (2 * u3)
    u = [2 * e[0] if u0 is None else Decimal(u0), u1, u2, u3]
    v = plus(left, times(u, u), Decimal("0.25"))[:4]
    w = plus(e, u, Decimal("-0.5"))
    b = leading_root(w)
    if add:
        v[0] -= 1
    return {"shift": shift, "add": add, "b": b, "d": plus(w, times(b, b), -1)[:3], "u": u, "v": v}


FAST_PAIR, STABLE_PAIR = pair_scheme(FAST, 0.5, 0.22, -1, 0), pair_scheme(STABLE, 1, 0.09, -1, add=True)


def exact(x):
    for a, b, c in [FAST] * 8 + [STABLE] * 2:
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def iteration(x, a, b, c):
    gram = rounded(x @ x.mT)
    return rounded(a * x + rounded(b * gram + c * (gram @ gram)) @ x)


def printed(x):
    x = rounded(x)
    for coefficients in [FAST] * 8 + [STABLE] * 2:
        x = iteration(x, *coefficients)
    return x


def fast_group(x, size):
    """`size` fast iterations that meet x once, each with the next Gram matrix made from the last one."""
    one, (a, b, c) = torch.eye(x.shape[-2]), FAST
    gram, factor = rounded(symmetric(x @ x.mT)), None
    for i in range(size):
        p = rounded(a * one + b * gram + c * symmetric(gram @ gram))
        factor = p if factor is None else rounded(symmetric(p @ factor))
        if i + 1 < size:
            gram = rounded(symmetric(p @ rounded(symmetric(p @ gram))))
    return rounded(factor @ x)


def grouped(x, groups):
    x = rounded(x)
    for size in groups:
        x = fast_group(x, size)
    one = torch.eye(x.shape[0])
    e = rounded(one - symmetric(x @ x.mT))
    e2, d1 = rounded(symmetric(e @ e)), rounded(e / 2 + symmetric(e @ e) / 2)
    rest = rounded(-one / 4 + 0.75 * e + e2 / 4 + symmetric(e2 @ e) / 4)
    following = rounded(symmetric(e2 @ rest))
    d2 = rounded(following / 2 + symmetric(following @ following) / 2)
    return rounded(x + rounded(d1 + d2 + symmetric(d2 @ d1)) @ x)


def pair(x, scheme):
    one = torch.eye(x.shape[-2])
    t = rounded(symmetric(x @ x.mT) - scheme["shift"] * one)
    t2 = rounded(symmetric(t @ t))
    t3 = symmetric(t @ t2)

    def terms(name):
        return sum(float(k) * m for k, m in zip(scheme[name], [one, t, t2, t3]))

    b, t3 = rounded(terms("b")), rounded(t3)
    w = symmetric(b @ b) + terms("d")
    factor = symmetric(rounded(w) @ rounded(w + terms("u")))
    change = rounded(factor + rounded(terms("v"))) @ x
    return rounded(x + change if scheme["add"] else change)


def in_pairs(x):
    x = rounded(x)
    for scheme in [FAST_PAIR] * 4 + [STABLE_PAIR]:
        x = pair(x, scheme)
    return x


def matrix(p, q, singular_values):
    if singular_values is None:
        return torch.randn(p, q, dtype=torch.float64)
    u, v = (torch.linalg.qr(torch.randn(n, p, dtype=torch.float64))[0] for n in (p, q))
    return (u * singular_values) @ v.T


def hadamard(n):
    h = torch.ones(1, 1)
    while h.shape[0] < n:
        h = torch.cat([torch.cat([h, h], 1), torch.cat([h, -h], 1)])
    return h / n**0.5


def escapes(step):
    """Of 160,000 small matrices with singular values up to 1.2, as one pair leaves them, and singular vectors that make rounding errors add up: how many
    have one above 1.264 after two more fast iterations; from there they diverge."""
    generator, count = torch.Generator().manual_seed(5), 0
    for n in (2, 4, 8, 16):
        for zeros in (0, 0.5):
            squares = 1.44 * torch.rand(20000, n, generator=generator)
            squares *= torch.rand(20000, n, generator=generator) >= zeros
            squares[:10000, 0] = 0.02 + 0.03 * torch.rand(10000, generator=generator)
            u = hadamard(n)
            count += (torch.linalg.matrix_norm(step(rounded((u * squares.sqrt()[:, None, :]) @ u.T)), 2) > 1.264).sum().item()
    return count


def main():
    index = torch.arange(1, 193).double()
    spiked = torch.cat([10 * torch.ones(4).double(), index[:188] ** -0.7])
    for name, scheme in [("kFastPair", FAST_PAIR), ("kStablePair", STABLE_PAIR)]:
        print(name, {k: v if k in ("shift", "add") else [f"{float(c):.17g}" for c in v] for k, v in scheme.items()})
    print("matrix: error as printed, pairs of four products, of five, (3, 3, 2), (4, 4)")
    for name, p, q, values in [("Gaussian, 192 x 512", 192, 512, None), ("Gaussian, 256 x 256", 256, 256, None), ("s = 1/i, 192 x 512", 192, 512, 1 / index),
                               ("four of 10, then i^-0.7, 192 x 512", 192, 512, spiked)]:
        torch.manual_seed(p + q)
        g = matrix(p, q, values)
        g /= g.norm()
        right = exact(g)
        results = [printed(g.float()), in_pairs(g.float())] + [grouped(g.float(), groups) for groups in ([2] * 4, [3, 3, 2], [4, 4])]
        print(f"{name}:", ", ".join(f"{((r.double() - right).norm() / right.norm()).item():.3g}" for r in results))
    print("matrices that escape: as printed, pairs of four products, of five:", escapes(lambda x: iteration(iteration(x, *FAST), *FAST)),
          escapes(lambda x: pair(x, FAST_PAIR)), escapes(lambda x: fast_group(x, 2)))


main()
