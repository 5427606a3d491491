"""Fits the polynomials and rational functions of csrc/kernels/vmath.h.

Each fit minimises the largest weighted error max w(x) |f(x) - p(x)| on an interval with the Remez
exchange. Coefficients are rounded to the type one at a time, from the highest power down,
and the lower ones are fitted again after each, so that they make up for its rounding.

Run as `python tools/minimax.py [name ...]`; prints the coefficients as they stand in vmath.h.
"""

import sys

import mpmath as mp

mp.mp.dps = 50
GRID = 1200


def rounded(x, bits):
    """x rounded to a float of `bits` significant bits, ties to even, as an exact mpf."""
    if x == 0:
        return mp.mpf(0)
    _, exponent = mp.frexp(x)
    unit = mp.ldexp(1, exponent - bits)
    return mp.nint(x / unit) * unit


def extremes(xs, errors):
    """Where each run of errors of one sign is largest: the indices, and refined places."""
    runs, run = [], [0]
    for i in range(1, len(xs)):
        if (errors[i] > 0) == (errors[run[0]] > 0):
            run.append(i)
        else:
            runs.append(run)
            run = [i]
    runs.append(run)
    return [max(run, key=lambda i: abs(errors[i])) for run in runs]


def thin(tops, errors, count):
    """Drop the smallest extremes until `count` are left, keeping their signs alternating."""
    while len(tops) > count:
        sizes = [abs(errors[i]) for i in tops]
        k = min(range(len(tops)), key=lambda j: sizes[j])
        if len(tops) == count + 1 or k in (0, len(tops) - 1):
            tops.pop(0 if sizes[0] < sizes[-1] else -1)
        else:
            first = k - 1 if sizes[k - 1] < sizes[k + 1] else k
            del tops[first : first + 2]


def exchange(h, basis, places, xs):
    """One pass: solve for coefficients c and level E with alternating errors at the places."""
    n = len(basis)
    matrix, right = mp.matrix(n + 1, n + 1), mp.matrix(n + 1, 1)
    for row, i in enumerate(places):
        for k in range(n):
            matrix[row, k] = basis[k][i]
        matrix[row, n] = (-1) ** row
        right[row] = h[i]
    solution = mp.lu_solve(matrix, right)
    return [solution[k] for k in range(n)], solution[n]


def remez(h, basis, xs):
    """Coefficients c of min max |h - sum c_k basis_k| over the grid, and that maximum."""
    n, size = len(basis), len(xs)
    if n == 0:
        return [], max(abs(e) for e in h)
    places = [i * (size - 1) // n for i in range(n + 1)]
    for _ in range(60):
        c, level = exchange(h, basis, places, xs)
        errors = [h[i] - sum(c[k] * basis[k][i] for k in range(n)) for i in range(size)]
        top = max(abs(e) for e in errors)
        if top <= abs(level) * (1 + mp.mpf("1e-4")):
            break
        tops = extremes(xs, errors)
        thin(tops, errors, n + 1)
        if len(tops) < n + 1:
            print("lost", n+1, len(tops), mp.nstr(top/abs(level)))
            break
        places = tops
    return c, top


def grid(low, high):
    """Chebyshev points of the interval, its ends among them."""
    return [
        (low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / (GRID - 1)) for i in range(GRID)
    ]


def polynomial(f, weight, low, high, powers, bits):
    """Rounded coefficients of sum c_k x^powers[k], and the largest weighted error."""
    xs = grid(mp.mpf(low), mp.mpf(high))
    w = [weight(x) for x in xs]
    h = [w[i] * f(x) for i, x in enumerate(xs)]
    basis = [[w[i] * x**p for i, x in enumerate(xs)] for p in powers]
    done = []
    for k in reversed(range(len(powers))):
        # The lower powers alone always have a unique best fit; the higher ones have not.
        c, _ = remez(h, basis[: k + 1], xs)
        done.insert(0, rounded(c[k], bits))
        h = [h[i] - done[0] * basis[k][i] for i in range(len(xs))]
    return done, max(abs(e) for e in h)


def rational(f, weight, xs, n, m, bits, rounds=60):
    """Rounded coefficients of P of degree n and Q of degree m with Q(0) = 1 for f ~ P / Q.

    Remez for rational functions: the equations P - (f + E sign / w) Q = 0 are linear but for the
    product E Q, where Q is taken from the pass before. Afterwards Q is rounded and P, which is
    then a linear fit with the basis x^k / Q, is fitted and rounded as polynomials are.
    """
    size, unknowns = len(xs), n + m + 1
    fs, w = [f(x) for x in xs], [weight(x) for x in xs]
    places = [i * (size - 1) // unknowns for i in range(unknowns + 1)]
    q = [mp.mpf(1)] + [mp.mpf(0)] * m
    for _ in range(rounds):
        for _ in range(12):
            matrix, right = mp.matrix(unknowns + 1, unknowns + 1), mp.matrix(unknowns + 1, 1)
            for row, i in enumerate(places):
                for k in range(n + 1):
                    matrix[row, k] = xs[i] ** k
                for k in range(1, m + 1):
                    matrix[row, n + k] = -fs[i] * xs[i] ** k
                matrix[row, unknowns] = -((-1) ** row) * mp.polyval(q[::-1], xs[i]) / w[i]
                right[row] = fs[i]
            solution = mp.lu_solve(matrix, right)
            p = [solution[k] for k in range(n + 1)]
            last, q = q, [mp.mpf(1)] + [solution[n + k] for k in range(1, m + 1)]
            level = solution[unknowns]
            if max(abs(a - b) for a, b in zip(last, q)) < mp.mpf("1e-20") * max(map(abs, q)):
                break
        errors = [
            w[i] * (mp.polyval(p[::-1], x) / mp.polyval(q[::-1], x) - fs[i])
            for i, x in enumerate(xs)
        ]
        top = max(abs(e) for e in errors)
        if top <= abs(level) * (1 + mp.mpf("1e-3")):
            break
        tops = extremes(xs, errors)
        thin(tops, errors, unknowns + 1)
        if len(tops) < unknowns + 1:
            raise ArithmeticError("the exchange lost an extreme: %d of %d" % (len(tops), unknowns + 1))
        places = tops
    ideal = top
    q = [rounded(c, bits) for c in q]
    denominators = [mp.polyval(q[::-1], x) for x in xs]
    h = [w[i] * fs[i] for i in range(size)]
    basis = [[w[i] * x**k / denominators[i] for i, x in enumerate(xs)] for k in range(n + 1)]
    done = []
    for k in reversed(range(n + 1)):
        c, _ = remez(h, basis[: k + 1], xs)
        done.insert(0, rounded(c[k], bits))
        h = [h[i] - done[0] * basis[k][i] for i in range(size)]
    return done, q, max(abs(e) for e in h), ideal
