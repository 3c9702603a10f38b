#!/usr/bin/env python3
"""Writes tests/data/golden/cifar_*.pkl: two-record CIFAR batches as Python and numpy pickle them.

Run with any Python 3 that has numpy: tools/golden/make_cifar_pickles.py
cifar_protocol0..5.pkl are what pickle.dumps writes; cifar_python2.pkl has the opcodes of the official archive, which
Python 2's cPickle wrote (str as SHORT_BINSTRING and BINSTRING, numpy.core names, protocol 2), and cifar_python2_text.pkl
those of its protocol 0. Every file is read back before it is kept. The pixels are (7 r + 13 i + i // 256) mod 256 for
byte i of record r, the labels 3 and 9.
"""
import pathlib
import pickle
import struct

import numpy as np

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data" / "golden"
RECORDS, BYTES = 2, 3072
LABELS = [3, 9]


def pixels() -> np.ndarray:
    record, i = np.mgrid[0:RECORDS, 0:BYTES]
    return ((7 * record + 13 * i + i // 256) % 256).astype(np.uint8)


def batch(order: str = "C") -> dict:
    return {
        "batch_label": "training batch 1 of 5",
        "labels": LABELS,
        "data": np.array(pixels(), order=order),
        "filenames": ["leptodactylus_pentadactylus_s_000004.png", "camion_s_000148.png"],
    }


def python2_binary() -> bytes:
    """The opcodes of data_batch_1 in the official archive."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    data = pixels().tobytes()
    return b"".join([
        b"\x80\x02}q\x01(", text(b"batch_label"), b"q\x02", text(b"training batch 1 of 5"), b"q\x03",
        text(b"labels"), b"q\x04]q\x05(", *[b"K" + bytes([label]) for label in LABELS], b"e",
        text(b"data"), b"q\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85",
        text(b"b"), b"\x87Rq\t(K\x01K\x02M\x00\x0c\x86cnumpy\ndtype\nq\n", text(b"u1"), b"K\x00K\x01\x87Rq\x0b(K\x03",
        text(b"|"), b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T", struct.pack("<I", len(data)), data, b"tb",
        text(b"filenames"), b"q\x0c]q\r(", text(b"a.png"), b"q\x0e", text(b"b.png"), b"q\x0feu.",
    ])


def python2_text() -> bytes:
    """Protocol 0: every string as its repr."""

    def text(value: bytes) -> bytes:
        return b"S" + repr(value)[1:].encode() + b"\n"

    return b"".join([
        b"(dp1\n", text(b"labels"), b"p2\n(lp3\n", *[b"I%d\na" % label for label in LABELS], b"s", text(b"data"),
        b"p4\ncnumpy.core.multiarray\n_reconstruct\np5\n(cnumpy\nndarray\np6\n(I0\ntp7\n", text(b"b"),
        b"p8\ntp9\nRp10\n(I1\n(I2\nI3072\ntp11\ncnumpy\ndtype\np12\n(", text(b"u1"), b"p13\nI0\nI1\ntp14\nRp15\n(I3\n",
        text(b"|"), b"p16\nNNNI-1\nI-1\nI0\ntp17\nbI00\n", text(pixels().tobytes()), b"p18\ntp19\nbs.",
    ])


def keep(name: str, content: bytes) -> None:
    back = pickle.loads(content, encoding="bytes")
    back = {key.decode() if isinstance(key, bytes) else key: value for key, value in back.items()}
    assert np.array_equal(back["data"], pixels()) and list(back["labels"]) == LABELS, name
    (OUT / name).write_bytes(content)
    print(name, len(content), "bytes")


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    for protocol in range(6):
        keep(f"cifar_protocol{protocol}.pkl", pickle.dumps(batch(), protocol))
    keep("cifar_fortran.pkl", pickle.dumps(batch("F"), 2))
    keep("cifar_python2.pkl", python2_binary())
    keep("cifar_python2_text.pkl", python2_text())
    print("written with numpy", np.__version__)


if __name__ == "__main__":
    main()
