#!/usr/bin/env python3
"""Writes tests/data/io/safetensors_cases.jsonl: small good and bad files, and what the reference reader says of each.

Each line: name, hex (the file), valid (whether Python's safetensors opens it), tensors (of valid ones: name, dtype,
shape, hex of the data, in file order) and, where this project is stricter on purpose, refused_because.
The last line is the file that our writer must produce for the tensors it lists, byte by byte.

Usage: python tools/golden/make_safetensors_cases.py     (needs the packages safetensors and numpy; the version is recorded)
"""
import json
import pathlib
import random
import struct

import numpy
import safetensors
import safetensors.numpy

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/data/io/safetensors_cases.jsonl"
SEED = 1


def raw(header, data=b"", length=None):
    if isinstance(header, str):
        header = header.encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def info(dtype="F32", shape="[1]", offsets="[0,4]", more=""):
    return f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}{more}}}'


def one(data=b"\x00\x00\x80\x3f", **fields):
    return raw('{"a":' + info(**fields) + "}", data)


PLAIN = '{"a":' + info() + "}"
DATA = b"\x00\x00\x80\x3f"
U8A, U8B = info("U8", "[1]", "[0,1]"), info("U8", "[1]", "[1,2]")
TWICE = "the reference takes the last of two equal names"
TYPE = "DType has no such type"


def cases():
    yield "plain", raw(PLAIN, DATA), None
    yield "empty object", raw("{}"), None
    yield "empty header", raw(""), None
    yield "no bytes", b"", None
    yield "seven bytes", b"1234567", None
    yield "eight zero bytes", b"\0" * 8, None
    for name, text in {"leading space": " " + PLAIN, "leading newline": "\n" + PLAIN, "trailing spaces": PLAIN + "   ",
                       "trailing white space": PLAIN + "\t\n\r", "trailing zero byte": PLAIN + "\0",
                       "trailing zero byte and more": PLAIN + "\0{", "trailing letter": PLAIN + "x",
                       "two objects": PLAIN + PLAIN, "comment": "{/*x*/}", "trailing comma": PLAIN[:-1] + ",}",
                       "top-level list": "[]", "top-level null": "null", "top-level number": "1",
                       "top-level string": '"a"', "cut JSON": PLAIN[:-1], "single quotes": PLAIN.replace('"', "'"),
                       "byte order mark": "\ufeff" + PLAIN}.items():
        yield name, raw(text, b"" if name == "comment" else DATA), None
    yield "invalid UTF-8", raw(b'{"\xff":' + info().encode() + b"}", DATA), None
    yield "overlong UTF-8", raw(b'{"\xc0\x80":' + info().encode() + b"}", DATA), None
    yield "lone surrogate", raw('{"\\ud800":' + info() + "}", DATA), None
    yield "surrogate pair", raw('{"\\ud83d\\ude00":' + info() + "}", DATA), None
    yield "escaped zero in a name", raw('{"\\u0000":' + info() + "}", DATA), None
    yield "raw control character in a name", raw(b'{"\x01":' + info().encode() + b"}", DATA), None
    yield "empty name", raw('{"":' + info() + "}", DATA), None
    yield "name beyond ASCII", raw('{"Gewicht-Ä":' + info() + "}", DATA), None
    # Header length.
    yield "header length beyond the file", raw(PLAIN, DATA, length=100), None
    yield "header length of all bytes", raw(PLAIN, DATA, length=len(PLAIN) + 4), None
    yield "header length one too small", raw(PLAIN, DATA, length=len(PLAIN) - 1), None
    yield "header length 2^64 - 1", raw(PLAIN, DATA, length=2**64 - 1), None
    yield "header length 2^63", raw(PLAIN, DATA, length=2**63), None
    yield "header length above the limit", raw(PLAIN, DATA, length=100_000_001), None
    # Duplicates.
    yield "duplicate tensor", raw('{"a":%s,"a":%s}' % (info(), info()), DATA), TWICE
    yield "duplicate tensor by escape", raw('{"a":%s,"\\u0061":%s}' % (info(), info()), DATA), TWICE
    yield "duplicate tensor of other range", raw('{"a":%s,"a":%s}' % (info(), info(offsets="[4,8]")), DATA * 2), None
    yield "duplicate dtype", raw('{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', DATA), None
    yield "duplicate shape", raw('{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}', DATA), None
    yield "duplicate unknown field", one(more=',"x":1,"x":2'), None
    yield "duplicate metadata", raw('{"__metadata__":{},"__metadata__":{}}'), None
    yield "duplicate metadata key", raw('{"__metadata__":{"a":"b","a":"c"}}'), TWICE
    # Metadata.
    for value in ["{}", '{"format":"pt"}', '{"":""}', "null", '{"a":1}', '{"a":null}', '{"a":["b"]}', '{"a":{"b":"c"}}',
                  "[]", '"x"', "1"]:
        yield f"metadata {value}", raw('{"__metadata__":%s,"a":%s}' % (value, info()), DATA), None
    yield "metadata behind the tensors", raw('{"a":%s,"__metadata__":{"b":"c"}}' % info(), DATA), None
    yield "metadata key with an escape", raw('{"\\u005f_metadata__":{"a":"b"}}'), None
    # Tensor descriptions.
    for value in ["null", "1", '"F32"', "true", "{}"]:
        yield f"tensor is {value}", raw('{"a":%s}' % value, DATA), None
    yield "tensor as a list", raw('{"a":["F32",[1],[0,4]]}', DATA), "the format says object"
    yield "dtype as an object", raw('{"a":{"dtype":{"F32":null},"shape":[1],"data_offsets":[0,4]}}', DATA), "the format says string"
    for field in ["dtype", "shape", "data_offsets"]:
        parts = {"dtype": '"F32"', "shape": "[1]", "data_offsets": "[0,4]"}
        del parts[field]
        yield f"no {field}", raw('{"a":{%s}}' % ",".join(f'"{k}":{v}' for k, v in parts.items()), DATA), None
    yield "unknown field", one(more=',"x":[1,{"y":null,"z":[true,"s",-1.5e3]}]'), None
    yield "unknown scalar fields", one(more=',"x":1,"y":"z","z":null,"u":false,"v":-2,"w":0.5'), None
    yield "unknown field first", raw('{"a":{"x":{"dtype":"F64"},"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', DATA), None
    yield "unknown field with a number beyond double", one(more=',"x":1e999'), None
    yield "unknown field with a long integer", one(more=',"x":99999999999999999999999'), None
    yield "unknown field with NaN", one(more=',"x":NaN'), None
    for depth in [10, 125, 126, 200]:
        yield f"unknown field nested {depth} deep", one(more=',"x":' + "[" * depth + "]" * depth), None
    yield "unknown field nested deep and never closed", one(more=',"x":' + "[" * 5000), None
    # Types.
    for dtype, size in {"U8": 1, "I32": 4, "I64": 8, "BF16": 2, "F16": 2, "F32": 4, "F64": 8}.items():
        yield f"dtype {dtype}", one(bytes(range(3 * size)), dtype=dtype, shape="[3]", offsets=f"[0,{3 * size}]"), None
    for dtype, size in {"BOOL": 1, "I8": 1, "I16": 2, "U16": 2, "U32": 4, "U64": 8, "F8_E4M3": 1, "F8_E5M2": 1}.items():
        yield f"dtype {dtype}", one(bytes(size), dtype=dtype, offsets=f"[0,{size}]"), TYPE
    for dtype in ["f32", "", "F32 ", "float32", "X"]:
        yield f"dtype {dtype!r}", one(DATA, dtype=dtype), None
    # Shapes.
    for shape in ["[]", "[1,1,1]", "[2]", "[0]", "[-1]", "[-0]", "[1.0]", "[1e0]", '["1"]', "[null]", "[[1]]", "[true]",
                  "1", "null", '{"0":1}', "[18446744073709551615]", "[18446744073709551616]"]:
        yield f"shape {shape}", one(DATA, shape=shape), None
    yield "shape overflows to the right size", one(DATA, shape="[4611686018427387905,4]", offsets="[0,16]"), None
    yield "shape overflows to zero", one(b"", shape="[4611686018427387904,4]", offsets="[0,0]"), None
    yield "shape overflows before a zero", one(b"", shape="[9223372036854775807,4,0]", offsets="[0,0]"), None
    yield "large dimension behind a zero", one(b"", shape="[0,9223372036854775807]", offsets="[0,0]"), None
    yield "dimension of 2^63 behind a zero", one(b"", shape="[0,9223372036854775808]", offsets="[0,0]"), "shapes are signed here"
    yield "empty tensor", one(b"", shape="[0,3]", offsets="[0,0]"), None
    # Ranges.
    for offsets in ["[0,3]", "[0,5]", "[0,8]", "[1,5]", "[4,0]", "[4,8]", "[0]", "[]", "[0,4,4]", "[0,4.0]", "[-0,4]",
                    '["0",4]', "null", "4", "[[0,4]]", "[0,18446744073709551615]", "[18446744073709551615,3]"]:
        yield f"offsets {offsets}", one(DATA, offsets=offsets), None
    yield "data missing", raw(PLAIN), None
    yield "data cut", raw(PLAIN, DATA[:3]), None
    yield "data too long", raw(PLAIN, DATA + b"x"), None
    yield "data without tensors", raw("{}", b"x"), None
    yield "in order", raw('{"a":%s,"b":%s}' % (U8A, U8B), b"12"), None
    yield "header in another order than the data", raw('{"b":%s,"a":%s}' % (U8B, U8A), b"12"), None
    yield "overlap", raw('{"a":%s,"b":%s}' % (U8A, U8A), b"1"), None
    yield "partial overlap", raw('{"a":%s,"b":%s}' % (info("U8", "[2]", "[0,2]"), info("U8", "[2]", "[1,3]")), b"123"), None
    yield "gap", raw('{"a":%s,"b":%s}' % (U8A, info("U8", "[1]", "[2,3]")), b"123"), None
    yield "gap at the start", one(b"xxxx" + DATA, offsets="[4,8]"), None
    yield "empty tensor between two", raw('{"b":%s,"z":%s,"a":%s}' % (U8B, info("U8", "[0]", "[1,1]"), U8A), b"12"), None
    yield "empty tensor inside another", raw('{"a":%s,"z":%s}' % (info("U8", "[2]", "[0,2]"), info("U8", "[0]", "[1,1]")), b"12"), None
    # What the reference writes itself.
    yield "reference writer", safetensors.numpy.save(
        {"conv1.weight": numpy.arange(6, dtype=numpy.float32).reshape(2, 1, 1, 3),
         "bn1.num_batches_tracked": numpy.array(7, dtype=numpy.int64)}, {"format": "pt"}), None
    # Random damage to a good file: a byte replaced, cut or inserted.
    rng = random.Random(SEED)
    good = raw('{"__metadata__":{"k":"v"},"a":%s,"b":%s}' % (info("F32", "[2]", "[0,8]"), info("U8", "[3]", "[8,11]")), bytes(range(11)))
    for number in range(80):
        damaged = bytearray(good)
        place = rng.randrange(len(damaged))
        kind = rng.randrange(3)
        if kind == 0:
            damaged[place] = rng.choice(b'{}[]",:0123456789\\ \0\xff' + bytes([rng.randrange(256)]))
        elif kind == 1:
            del damaged[place]
        else:
            damaged.insert(place, rng.choice(b'{}[]",:0 \\'))
        yield f"damage {number}", bytes(damaged), None


def reference(data):
    try:
        tensors = safetensors.deserialize(data)
    except safetensors.SafetensorError:
        return None
    return [{"name": name, "dtype": t["dtype"], "shape": t["shape"], "hex": bytes(t["data"]).hex()} for name, t in tensors]


def writer_case():
    tensors = [("w", "F32", [2, 2], struct.pack("<4f", 1, -2, 0.5, 0)), ("steps", "I64", [], struct.pack("<q", 9)),
               ('quo"te', "U8", [3], b"\x01\x02\x03"), ("empty", "F64", [0, 5], b"")]
    header, at = ['"__metadata__":{"format":"pt","rn":"1"}'], 0
    for name, dtype, shape, data in tensors:
        header.append('%s:{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}'
                      % (json.dumps(name), dtype, ",".join(map(str, shape)), at, at + len(data)))
        at += len(data)
    text = "{" + ",".join(header) + "}"
    text += " " * (-len(text) % 8)
    data = raw(text, b"".join(t[3] for t in tensors))
    read = {t["name"]: t for t in reference(data)}
    assert {n: (d, s, b.hex()) for n, d, s, b in tensors} == {n: (t["dtype"], t["shape"], t["hex"]) for n, t in read.items()}
    return {"name": "our writer", "hex": data.hex(),
            "tensors": [{"name": n, "dtype": d, "shape": s, "hex": b.hex()} for n, d, s, b in tensors]}


def main():
    names = set()
    with OUT.open("w", encoding="ascii") as out:
        print(json.dumps({"safetensors": safetensors.__version__, "seed": SEED}), file=out)
        for name, data, stricter in cases():
            assert name not in names, name
            names.add(name)
            tensors = reference(data)
            line = {"name": name, "hex": data.hex(), "valid": tensors is not None}
            if tensors is not None:
                line["tensors"] = tensors
            if stricter:
                assert tensors is not None, f"{name}: the reference refuses it too"
                line["refused_because"] = stricter
            print(json.dumps(line), file=out)
        print(json.dumps(writer_case()), file=out)
    print(f"{len(names)} cases, safetensors {safetensors.__version__}, in {OUT}")


if __name__ == "__main__":
    main()
