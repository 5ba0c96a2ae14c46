"""Tables of the functions of `math`, computed with integers when the library is loaded.

A number here is an integer with 200 bits after the point; each entry is the float next to the exact value. What a C
library's authors chose by search, where to take an inverse or a tangent, is given and the rest follows from it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Final

_BITS: Final = 200
_ONE: Final = 1 << _BITS


def exponentials() -> Iterator[int]:
    """Yield for i/128 how much more than its float 2**(i/128) is, relatively, and the float's bits less those of i."""
    root = 2 * _ONE
    for _ in range(7):
        root = math.isqrt(root << _BITS)
    power = _ONE
    for index in range(128):
        nearest = _float(power)
        exact = _fixed(nearest)
        yield _bits(_float(((power - exact) << _BITS) // exact))
        yield _bits(nearest) - (index << 45)
        power = power * root >> _BITS


def power_logarithms() -> Iterator[float]:
    """Yield for each part of an octave an inverse with few bits, its logarithm and the rest of that, for `pow()`."""
    logarithms = _small_logarithms(257)
    for index in range(128):
        start = 0x3FE69555_00000000 + (index << 45)
        centre = (_of_bits(start) + _of_bits(start + (1 << 45))) / 2
        inverse = round((128 if centre < 1 else 256) / centre)
        shift = 7 if centre < 1 else 8
        exact = shift * logarithms[2] - logarithms[inverse] if inverse != 1 << shift else 0
        coarse = _cut(exact)
        yield from (inverse / (1 << shift), coarse, _float(exact - _fixed(coarse)))


def natural_logarithms() -> Iterator[float]:
    """Yield for each part of an octave an inverse and its logarithm."""
    logarithms = _small_logarithms(257)
    for inverse in _inverses(_NATURAL):
        yield inverse
        yield _cut(_logarithm(inverse, logarithms))


def binary_logarithms() -> Iterator[float]:
    """Yield for each part of an octave an inverse and its binary logarithm."""
    logarithms = _small_logarithms(257)
    for inverse in _inverses(_BINARY):
        yield inverse
        yield _cut((_logarithm(inverse, logarithms) << _BITS) // logarithms[2])


def sines() -> Iterator[float]:
    """Yield for each i/128 below 0.86 the sine in two floats and the cosine in two."""
    sine, cosine = 0, _ONE
    step = _ONE >> 7
    step_sine, step_cosine = _sine(step)
    for _ in range(110):
        for exact in (sine, cosine):
            nearest = _float(exact)
            yield nearest
            yield _float(exact - _fixed(nearest))
        sine, cosine = (
            sine * step_cosine + cosine * step_sine >> _BITS,
            cosine * step_cosine - sine * step_sine >> _BITS,
        )


def tangents() -> Iterator[float]:
    """Yield a number next to each i/256 from 1/16 to 0.79, its tangent and its cotangent, both nearly exact floats."""
    text = "".join(_TANGENTS)
    for index in range(186):
        offset = int(text[index * 9 : index * 9 + 9], 16) - (1 << 35)
        place = (16 + index) / 256 + offset * 2.0**-61 * (1 << _coarseness(index))
        sine, cosine = _sine(_fixed(place))
        yield from (place, _float((sine << _BITS) // cosine), _float((cosine << _BITS) // sine))


def _coarseness(index: int) -> int:
    """Return how many bits more the unit of an offset has than that of the first."""
    return 0 if index < 16 else 1 if index < 48 else 2 if index < 112 else 3


def two_over_pi() -> Iterator[float]:
    """Yield 2/pi in 75 digits of 24 bits."""
    bits = 24 * 75 + 64
    quotient = (2 << 2 * bits) // _pi(bits)
    for index in range(75):
        yield float(quotient >> (bits - 24 * (index + 1)) & 0xFF_FFFF)


def _pi(bits: int) -> int:
    """Return pi with that many bits after the point, by Machin's formula."""

    def arctangent(inverse: int) -> int:
        term = (1 << bits + 16) // inverse
        total, divisor = 0, 1
        while term:
            total += term // divisor if divisor % 4 == 1 else -(term // divisor)
            term //= inverse * inverse
            divisor += 2
        return total

    return (16 * arctangent(5) - 4 * arctangent(239)) >> 16


def _small_logarithms(count: int) -> list[int]:
    """Return the logarithms of the integers below `count`."""
    found = [0, 0]
    for number in range(2, count):
        found.append(found[-1] + 2 * _inverse_tangent(_ONE // (2 * number - 1)))
    return found


def _logarithm(inverse: float, logarithms: list[int]) -> int:
    """Return the logarithm of what a number between 0.5 and 2 is the inverse of."""
    near = round(inverse * 128)
    exact, close = _fixed(inverse) * 128, near << _BITS
    difference = ((exact - close) << _BITS) // (exact + close)
    return 7 * logarithms[2] - logarithms[near] - 2 * _inverse_tangent(difference)


def _inverse_tangent(x: int) -> int:
    """Return the inverse hyperbolic tangent of a small number."""
    square = x * x >> _BITS
    total = term = x
    divisor = 3
    while abs(term) > 1:
        term = term * square >> _BITS
        total += term // divisor
        divisor += 2
    return total


def _sine(x: int) -> tuple[int, int]:
    """Return the sine and the cosine of a number below 1."""
    square = x * x >> _BITS
    sine, cosine = x, _ONE
    odd, even = x, _ONE
    divisor = 1
    while odd:
        even = -(even * square >> _BITS) // (divisor * (divisor + 1))
        odd = -(odd * square >> _BITS) // ((divisor + 1) * (divisor + 2))
        sine += odd
        cosine += even
        divisor += 2
        if abs(odd) < 2 and abs(even) < 2:
            break
    return sine, cosine


def _inverses(text: tuple[str, ...]) -> Iterator[float]:
    """Yield the numbers between 0.5 and 2 whose 52 bits are given, first those from 1 on."""
    exponent = 1023
    last = 1 << 52
    for word in "".join(text).split():
        fraction = int(word, 16)
        if fraction > last:
            exponent = 1022
        last = fraction
        yield _of_bits(exponent << 52 | fraction)


def _fixed(value: float) -> int:
    numerator, denominator = value.as_integer_ratio()
    return (numerator << _BITS) // denominator


def _float(value: int) -> float:
    return value / _ONE


def _cut(value: int) -> float:
    """Return a number rounded to 43 bits after the point."""
    return ((value >> _BITS - 44) + 1 >> 1) / (1 << 43)


def _bits(value: float) -> int:
    return int(struct.unpack("<q", struct.pack("<d", value))[0])


def _of_bits(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<Q", bits))[0])


_NATURAL: Final = (
    "734f0c3e0de9f 713786a2ce91f 6f26008fab5a0 6d1a61f138c7d 6b1490bc5b4d1 69147332f0cba 6719f18224223 ",
    "6524f99a51ed9 63356aa8f24c4 614b36b9ddc14 5f66452c65c4c 5d867b5912c4f 5babccb5b90de 59d61f2d91a78 ",
    "5805612465687 56397cee76bd3 54725e2a77f93 52aff42064583 50f22dbb2bddf 4f38f4734ded7 4d843cfde2840 ",
    "4bd3ec078a3c8 4a27fc3e0258a 4880524d48434 46dce1b192d0b 453d9d3391854 43a2744b4845a 420b54115f8fb ",
    "40782da3ef4b1 3ee8f5d57fe8f 3d5d9a00b4ce9 3bd60c010c12b 3a5242b75dab8 38d22cd9fd002 3755bc5847a1c ",
    "35dce49ad36e2 34679984dd440 32f5cceffcb24 3187775a10d49 301c8373e3990 2eb4ebb95f841 2d50a0219a9d1 ",
    "2bef9a8b7fd2a 2a91c7a0c1bab 293726014b530 27dfa5757a1f5 268b39b1d3bbf 2539d838ff5bd 23eb7aac9083b ",
    "22a012ba940b6 2157996cc4132 201201dd2fc9b 1ecf4494d480b 1d8f5528f6569 1c52311577e7c 1b17c74cb26e9 ",
    "19e010c2c1ab6 18ab07bb670bd 1778a25efbcb6 1648d354c31da 151b990275fdd 13f0ea432d24c 12c8b7210f9da ",
    "11a3028ecb531 107fbda8434af 0f5ee0f4e6bb3 0e4065d2a9fce 0d244632ca521 0c0a77ce2981a 0af2f83c636d1 ",
    "09ddb98a01339 08cabaf52e7df 07b9f2f4e28fb 06ab58c358f19 059eea5ecf92c 04949cdd12c90 038c6c6f0ada9 ",
    "02865137932a9 0182427ea7348 008040614b195 fe01ff726fa1a fa11cc261ea74 f6310b081992e f25f63ceeadcd ",
    "ee9c8039113e7 eae8078cbb1ab e741aa29d0c9b e3a91830a99b5 e01e009609a56 dca01e577bb98 d92f20b7c9103 ",
    "d5cac66fb5cce d272caa5ede9d cf26e3e6b2ccd cbe6da2a77902 c8b266d37086d c5894bd5d5804 c26b533bb9f8c ",
    "bf583eeece73f bc4fd75db96c1 b951e0c864a28 b65e2c5ef3e2c b374867c9888b b094b211d304a adbe885f2ef7e ",
    "aaf1d31603da2 a82e63fd358a7 a5740ef09738b a2c2a90ab4b27 a01a01393f2d1 9d79f24db3c1b 9ae2505c7b190 ",
    "9852ef297ce2f 95cbaeea44b75 934c69de74838 90d4f2f6752e6 8e6528effd79d 8bfce9fcc007c 899c0dabec30e ",
    "87427aa2317fb 84f00acb39a08 82a49e8653e55 8060195f40260 7e22563e0a329 7beb377dcb5ad 79baa679725c2 ",
    "77907f2170657 756cadbd6130c ",
)

_BINARY: Final = (
    "724286bb1acf8 6e1f766d2cca1 6a13d0e30d48a 661ec32d06c85 623fa951198f8 5e75ba4cf026c 5ac055a214fb8 ",
    "571ed0f166e1e 53909590bf835 5014fed61addd 4cab88e487bd0 49539b4334fee 460cbdfafd569 42d664ee4b953 ",
    "3fb01111dd8a6 3c995b70c5836 3991c4ab6fd4a 3698e0ce099b5 33ae48213e7b2 30d191985bdb1 2e025cab271d7 ",
    "2b404cf13cd82 288b02c7ccb50 25e2263944de5 234563d8615b1 20b46e33eaf38 1e2eefdcda3dd 1bb4a580b3930 ",
    "19453847f2200 16e06c0d5d73c 1485f47b7e4c2 12358ad0085d1 0fef00f532227 0db2077d03a8f 0b7e6d65980d9 ",
    "0953efe7b408d 07325cac53b83 05197e40d1b5c 03091c1208ea2 0101025b37e21 fc07ef9caa76b f4465d3f6f184 ",
    "ecc079f84107f e573a99975ae8 de5d6f0bd3de6 d77b681ff38b3 d0cb5724de943 ca4b2dc0e7563 c3f8ee8d6cb51 ",
    "bdd2b4f020c4c b7d6c006015ca b20366e2e338f ac57026295039 a6d01bc2731dd a16d3bc3ff18b 9c2d14967fead ",
    "970e4f47c9902 920fb3982bcf2 8d30187f759f1 886e5ebb9f66d 83c97b658b994 7f405ffc61022 7ad22181415ca ",
    "767dcf99eff8c ",
)

_TANGENTS: Final = (
    "bca33ac00b634e0200ca0bc6a0079b884a4047ff093e05b92b21e081dd07ee0560bd4820380a2bee04709af5604906468e0ce8a81c60",
    "7d7e5d360c6a5208a030e5505207e647708099cf232a05c81d2300998123fa09b326d4205abe631008be0d4a207c7a673c05b111ade0",
    "85940a1a064a63eb80a6ee932405bbb965a06832934007069a74207b220dd409ec9349e05e0d77b008438c6680671a0eac0a09df9420",
    "9282f6600563847d80762e382609574897c0a27a547c0693c019c08bec23560a8ec99d60a979d4ec07af32b7a09986a86c083a3b4660",
    "8c18276408710a92408a5eb4260857435ea06ecc85820866c05e007dfa342606e306cba07e003c0007c84b4d408b3d83b60801ba1020",
    "783b9a5606d81a94008d62cf2608e6b1f4607876319e0801ba550077686e260762277e806fe10f9209116702806faab2cc0917e49200",
    "93f50a7e08eb2bf940862d0fb406b919fc40703be462074e270bc084953856085d6c57008a94a5a2072740146077b9238206da42bcc0",
    "85ee69de089ddf1680883d8ed4090089c8e083f046b607718de100767ac7c206be8b89008a11669809508e21806d25d3b008501e29a0",
    "802243a207decc55409308b03007609277e07aa52c3e07c4633480749bcb2c07ce534d2093acd004076422cae0947e0d140835b60c00",
    "7eb81a020727abf980741ba31e07a753e3407c48140007ea6f0d807dc6036e080dc6d7e07ac15486086eec5d007e38d24207e0e2a960",
    "85f9bb480839c2280089a1e6aa081f61914084de216607a12f1f007b290816077b43d42079312a66082571a4c089e9ad5e07980f7b40",
    "885b2c720877c5340075523e2407d10912207d0e2a5607f834e4207ee146e40886dd06c0797d2c8207f6dad94089269fd8087eb9efe0",
    "8a5015b20893df6ca0806b996c08668ce2e086004aea08ab7e7020899c21c6082d8c1c207f2cde14080edcdd6087a25a76079cff51a0",
    "866368d407829091c076f9a72a0801b9880085dfa5f807d701114081e7940c07d3d85e8087a872cc0756cef060796cbf12078ac13520",
    "789ddf0c0809b31660782aa0ea08931840607e3cac6c0844da8b4084a14b5408905f05c0840a007c077f3282208491c7460828b82ae0",
    "844c6372088bef05007f8d0d9e07b0c898c07c9cf26e0886a4a3e0",
)
