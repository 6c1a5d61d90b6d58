import argparse, array, base64, bisect, calendar, cmath, collections, contextlib, copy, csv, ctypes, dataclasses
import datetime, decimal, enum, fractions, functools, gzip, hashlib, heapq, html, inspect, io, itertools, json, logging
import math, operator, os, pathlib, pickle, queue, random, re, secrets, shutil, signal, statistics, string, struct
import subprocess, tempfile, textwrap, threading, time, traceback, types, typing, unicodedata, unittest, uuid, zlib

assert decimal.Decimal("0.1") * 3 == decimal.Decimal("0.3")
assert json.loads(json.dumps({"a": [1, None]})) == {"a": [1, None]}
assert hashlib.sha256(b"").hexdigest().startswith("e3b0c442")
assert datetime.date(2024, 2, 29).isoformat() == "2024-02-29"
assert tempfile.gettempdir() == "/tmp"
with tempfile.TemporaryFile() as file:
    file.write(b"x")
print("ok")
