"""Fits the polynomials and rational functions of csrc/kernels/vmath.h.

Each fit minimises the largest weighted error max w(x) |f(x) - p(x)| on an interval by the Remez
exchange; the weights make it the error relative to the function that is computed in the end.
Coefficients are rounded to the type one at a time, from the highest power down, and the lower
ones are fitted again after each, so that they make up for its rounding.

Run as `python tools/minimax.py [NAME ...]`: prints each fit with its error in units of 2^-24 or
2^-53, and its coefficients as they stand in vmath.h (`-` before a name: they do not stand there).
"""

import pathlib
import sys

import mpmath as mp

mp.mp.dps = 50
HEADER = pathlib.Path(__file__).parent.parent / "csrc" / "kernels" / "vmath.h"
BITS = {32: 24, 64: 53}
LN2 = mp.log(2)


# ---- The method ---------------------------------------------------------------------------------


def rounded(x, bits):
    """x rounded to `bits` significant bits, ties to even."""
    if x == 0:
        return mp.mpf(0)
    unit = mp.ldexp(1, mp.frexp(x)[1] - bits)
    return mp.nint(x / unit) * unit


def chebyshev(low, high, size=400):
    """Points of [low, high] that crowd towards its ends, which are among them."""
    middle, half = (mp.mpf(low) + high) / 2, (mp.mpf(high) - low) / 2
    return [middle - half * mp.cos(mp.pi * i / (size - 1)) for i in range(size)]


def value(c, x):
    return mp.polyval(c[::-1], x)


def extremes(errors, count):
    """The places of the largest error in each run of one sign, thinned to `count`."""
    tops = [0]
    for i, error in enumerate(errors):
        if (error > 0) != (errors[tops[-1]] > 0):
            tops.append(i)
        elif abs(error) > abs(errors[tops[-1]]):
            tops[-1] = i
    while len(tops) > count:
        # Signs must go on alternating: an end may go alone, another takes a neighbour along.
        sizes = [abs(errors[i]) for i in tops]
        k = sizes.index(min(sizes))
        if len(tops) == count + 1 or k in (0, len(tops) - 1):
            del tops[0 if sizes[0] < sizes[-1] else -1]
        else:
            k -= sizes[k - 1] < sizes[k + 1]
            del tops[k : k + 2]
    return tops


def remez(h, basis):
    """The c that minimises max |h - sum c_k basis_k|, all given by their values on one grid."""
    n, size = len(basis), len(h)
    places = [i * (size - 1) // n for i in range(n + 1)]
    for _ in range(40):
        matrix = mp.matrix(n + 1, n + 1)
        for row, i in enumerate(places):
            for k in range(n):
                matrix[row, k] = basis[k][i]
            matrix[row, n] = (-1) ** row
        *c, level = mp.lu_solve(matrix, mp.matrix([h[i] for i in places]))
        errors = [h[i] - mp.fsum(c[k] * basis[k][i] for k in range(n)) for i in range(size)]
        places = extremes(errors, n + 1)
        if max(map(abs, errors)) <= abs(level) * mp.mpf("1.001") or len(places) < n + 1:
            break
    return c


def rounded_fit(h, basis, bits):
    """The same with c rounded, and the largest error."""
    done = []
    for k in reversed(range(len(basis))):
        # Only sets of the lowest powers are certain to have one best fit, so the highest goes.
        done.insert(0, rounded(remez(h, basis[: k + 1])[k], bits))
        h = [a - done[0] * b for a, b in zip(h, basis[k], strict=True)]
    return done, max(map(abs, h))


def polynomial(f, weight, xs, degree, bits):
    """Coefficients c of f ~ c[0] + c[1] x + ..., and the largest weighted error."""
    w = [weight(x) for x in xs]
    basis = [[a * x**k for a, x in zip(w, xs, strict=True)] for k in range(degree + 1)]
    return rounded_fit([a * f(x) for a, x in zip(w, xs, strict=True)], basis, bits)


def rational(f, weight, xs, n, m, bits, scale):
    """P and Q of f ~ P / Q, of degrees n and m, with Q(0) = scale, and the largest weighted error.

    In Remez' equations P - (f + sign E / w) Q = 0 the product E Q is made linear by taking Q from
    the pass before. Q is rounded first; P is then a linear fit, its basis x^k / Q.
    """
    fs, w, size, count = [f(x) for x in xs], [weight(x) for x in xs], len(xs), n + m + 2
    places = [i * (size - 1) // (count - 1) for i in range(count)]
    q = [mp.mpf(1)]
    for _ in range(40):
        for _ in range(8):
            matrix = mp.matrix(count, count)
            for row, i in enumerate(places):
                for k in range(n + 1):
                    matrix[row, k] = xs[i] ** k
                for k in range(1, m + 1):
                    matrix[row, n + k] = -fs[i] * xs[i] ** k
                matrix[row, n + m + 1] = (-1) ** row * value(q, xs[i]) / w[i]
            solution = list(mp.lu_solve(matrix, mp.matrix([fs[i] for i in places])))
            p, q, level = solution[: n + 1], [mp.mpf(1), *solution[n + 1 : -1]], solution[-1]
        errors = [w[i] * (fs[i] - value(p, xs[i]) / value(q, xs[i])) for i in range(size)]
        places = extremes(errors, count)
        if max(map(abs, errors)) <= abs(level) * mp.mpf("1.001"):
            break
    q = [rounded(c * rounded(mp.mpf(scale), bits), bits) for c in q]
    over = [w[i] / value(q, xs[i]) for i in range(size)]
    basis = [[over[i] * xs[i] ** k for i in range(size)] for k in range(n + 1)]
    p, error = rounded_fit([w[i] * fs[i] for i in range(size)], basis, bits)
    return p, q, error


# ---- The fits -----------------------------------------------------------------------------------


def exp_tail(bits, degree):
    """(e^r - 1 - r) / r^2 for |r| <= ln 2 / 2; error relative to e^r - 1 (in e^r it is less)."""
    high = LN2 / 2 + mp.mpf("1e-4")

    def f(r):
        return mp.hyp1f1(1, 3, r) / 2

    c, error = polynomial(
        f, lambda r: r * r / abs(mp.expm1(r)) if r else r, chebyshev(-high, high), degree, bits
    )
    powers = range(degree + 1)
    return error, {
        "vm_exp_tail": c,
        "vm_tanh_tail": [-2 * (-2) ** k * c[k] for k in powers],
        "vm_gauss_tail": [mp.mpf(-0.5) ** k / 4 * c[k] for k in powers],
    }


def log_tail(bits, degree):
    """((log(1 + f) - f) / f^2 + 1/2) / f for sqrt(1/2) <= 1 + f <= sqrt(2)."""
    low, high = mp.sqrt(mp.mpf("0.5")) - 1 - mp.mpf("1e-6"), mp.sqrt(2) - 1 + mp.mpf("1e-6")

    def f(x):
        return mp.hyp2f1(1, 3, 4, -x) / 3

    c, error = polynomial(
        f, lambda x: abs(x**3 / mp.log1p(x)) if x else x, chebyshev(low, high), degree, bits
    )
    return error, {"log_tail": c}


def atanh_tail(bits, degree, name, high):
    """(2 atanh(s) / s - 2) / s^2 in s^2 <= high, for log(1 + f) with s = f / (2 + f)."""

    def f(z):
        return mp.hyp2f1(1, 1.5, 2.5, z) * 2 / 3

    c, error = polynomial(f, lambda z: z / 2, chebyshev(0, high), degree, bits)
    return error, {name: c}


def erf_near(bits, degree, high):
    """erf(x) / x - 1 in x^2 for x^2 <= high."""

    def f(z):
        return 2 / mp.sqrt(mp.pi) * mp.hyp1f1(0.5, 1.5, -z) - 1

    c, error = polynomial(f, lambda z: 1 / (1 + f(z)), chebyshev(0, high), degree, bits)
    return error, {"erf_near": c}


def turn_sine(bits, degree):
    """sin(2 pi s) / s in s^2 for |s| <= 1/4."""

    def f(z):
        return mp.sin(2 * mp.pi * mp.sqrt(z)) / mp.sqrt(z) if z else 2 * mp.pi

    c, error = polynomial(f, lambda z: 1 / f(z), chebyshev(0, mp.mpf(1) / 16), degree, bits)
    return error, {"turn_sine": c}


def normal_ratio(bits, n, m, high, scale):
    """(2 Q(0) + y P) / Q ~ exp(-y^2/2) / Phi(-y) - sqrt(2 pi) y, 0 <= y <= high, Q(0) = scale."""

    def inverse(y):
        return mp.exp(-y * y / 2) / mp.ncdf(-y)

    # Errors are relative to Phi(-y). Nearly all happens for small y: the points are dense there.
    ts = chebyshev(1 / (2 + mp.mpf(high)), mp.mpf(1) / 2)
    p, q, error = rational(
        lambda y: inverse(y) - mp.sqrt(2 * mp.pi) * y,
        lambda y: 1 / inverse(y),
        [1 / t - 2 for t in reversed(ts)], n, m, bits, scale,
    )  # fmt: skip
    if p[0] != 2 * q[0]:
        raise ValueError(f"P(0) / Q(0) is {p[0] / q[0]}, and should be 2: try another scale")
    return error, {"normal_over": p[1:], "normal_under": q}


ATANH_LOG = (mp.sqrt(2) - 1) ** 4 + mp.mpf("1e-6")
FITS = [
    (32, exp_tail, 4),
    (64, exp_tail, 9),
    (32, log_tail, 7),
    (64, atanh_tail, 6, "log_tail", ATANH_LOG),
    (32, atanh_tail, 4, "softplus_tail", mp.mpf(1) / 9),
    (64, atanh_tail, 9, "softplus_tail", mp.mpf(1) / 9),
    (32, erf_near, 5, 0.8),
    (64, erf_near, 11, 0.8),
    (32, turn_sine, 4),
    (64, turn_sine, 9),
    (32, normal_ratio, 4, 5, 14.6, "1.67598"),
    (64, normal_ratio, 9, 10, 38.8, "1.8887"),
]


def literal(x, bits):
    """x as C's hexadecimal float, all digits of the type and no more."""
    digits, exponent = float(x).hex().split("p")
    length = {32: len("0x1.123456"), 64: len("0x1.1234567890123")}[bits]
    return f"R({digits[: length + digits.startswith('-')]}p{exponent})"


def main():
    header = "".join(HEADER.read_text().split())
    for bits, fit, *arguments in FITS:
        if len(sys.argv) > 1 and fit.__name__ not in sys.argv[1:]:
            continue
        error, tables = fit(BITS[bits], *arguments)
        called = ", ".join(mp.nstr(a, 6) if isinstance(a, mp.mpf) else str(a) for a in arguments)
        print(f"float{bits}: {fit.__name__}({called}): {fit.__doc__.splitlines()[0]}")
        print(f"    error {mp.nstr(mp.ldexp(error, BITS[bits]), 3)} u")
        for name, c in tables.items():
            text = f"{name}[] = {{{', '.join(literal(x, bits) for x in c)}}}"
            there = "".join(text.split()) in header
            print(f"  {'' if there else '- '}{text}")


if __name__ == "__main__":
    main()
