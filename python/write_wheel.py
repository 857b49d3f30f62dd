#!/usr/bin/env python3
"""Writes the wheel of the package `cmerc`: the same files make the same bytes.

Usage: write_wheel.py --wheel=FILE --library=FILE --license=FILE --version_header=FILE --torch=VERSION FILE.py...
"""
import argparse
import base64
import hashlib
import os
import re
import stat
import sys
import zipfile

METADATA = """\
Metadata-Version: 2.1
Name: cmerc
Version: {version}
Summary: Calibrates any PyTorch model of emotions in conversations: CMERC's losses, views, curricula and measures
License: Apache-2.0
Requires-Python: >=3.8
Requires-Dist: torch (>={torch}a0,<={torch})
"""

WHEEL = """\
Wheel-Version: 1.0
Generator: cmerc
Root-Is-Purelib: false
Tag: {tag}
"""


def read(path):
    with open(path, "rb") as file:
        return file.read()


def record_line(name, content):
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"


def main():
    parser = argparse.ArgumentParser()
    for name in ("wheel", "library", "license", "version_header", "torch"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("sources", nargs="+")
    given = parser.parse_args()
    _, version, tag = re.fullmatch(r"(cmerc)-([^-]+)-(.+)\.whl", os.path.basename(given.wheel)).groups()
    header = read(given.version_header).decode()
    named = re.search(r'kVersion\[\] = "([^"]+)"', header).group(1)
    if version != f"{named}+torch{given.torch}":
        print(f"{given.version_header} says version {named}, but the wheel is of {version}: set `version` of "
              "//python:wheel to it", file=sys.stderr)
        return 1

    info = f"cmerc-{version}.dist-info"
    files = {"cmerc/" + os.path.basename(path): read(path) for path in given.sources}
    files["cmerc/libcmerc_ops.so"] = read(given.library)
    files["cmerc/_build.py"] = (f'"""What this package was built from."""\n\nVERSION = "{named}"\n'
                                f'TORCH = "{given.torch}"\n').encode()
    files[f"{info}/METADATA"] = METADATA.format(version=version, torch=given.torch).encode()
    files[f"{info}/WHEEL"] = WHEEL.format(tag=tag).encode()
    files[f"{info}/LICENSE"] = read(given.license)
    record = "".join(record_line(name, content) for name, content in sorted(files.items()))
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    with zipfile.ZipFile(given.wheel, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name in sorted(files, key=lambda name: (name.startswith(info), name)):
            entry = zipfile.ZipInfo(name)  # of 1980, whenever it is written
            entry.compress_type = zipfile.ZIP_DEFLATED
            mode = 0o755 if name.endswith(".so") else 0o644
            entry.external_attr = (stat.S_IFREG | mode) << 16
            wheel.writestr(entry, files[name])
    return 0


if __name__ == "__main__":
    sys.exit(main())
