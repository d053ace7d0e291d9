"""Puts a wheel together: the executables, what belongs to them, and the Python package if there is one.

Only the standard library. A wheel is a zip archive whose RECORD lists every file with its digest;
files under NAME.data/scripts are installed where commands go, as they are and executable.
"""

import argparse
import base64
import hashlib
import pathlib
import time
import zipfile

NAME = "ayni"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", required=True)
    parser.add_argument("--tag", required=True, help="platform, such as manylinux_2_34_x86_64")
    parser.add_argument("--time", required=True, type=int, help="of every file, in seconds since 1970")
    parser.add_argument("--script", action="append", required=True, type=pathlib.Path)
    parser.add_argument("--share", required=True, type=pathlib.Path, help="goes to share/ as it is")
    parser.add_argument("--package", type=pathlib.Path, help="wheel of the Python package alone")
    parser.add_argument("--readme", required=True, type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path, help="folder")
    args = parser.parse_args()

    info, data = f"{NAME}-{args.version}.dist-info", f"{NAME}-{args.version}.data"
    files: dict[str, bytes] = {}
    if args.package is not None:
        with zipfile.ZipFile(args.package) as package:
            for name in package.namelist():
                if name.endswith("/") or name in (f"{info}/RECORD", f"{info}/WHEEL"):
                    continue
                files[name] = package.read(name)
        if f"{info}/METADATA" not in files:
            raise SystemExit(f"error: {args.package} is not of {NAME} {args.version}")
    else:
        files[f"{info}/METADATA"] = metadata(args.version, args.readme.read_text())
    executable = set()
    for script in args.script:
        name = f"{data}/scripts/{script.name}"
        files[name] = script.read_bytes()
        executable.add(name)
    for path in sorted(args.share.rglob("*")):
        if path.is_file():
            files[f"{data}/data/share/{path.relative_to(args.share)}"] = path.read_bytes()
    tag = f"py3-none-{args.tag}"
    files[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: ayni\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()
    )
    record = "".join(f"{name},{digest(text)},{len(text)}\n" for name, text in files.items())
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()

    path = args.out / f"{NAME}-{args.version}-{tag}.whl"
    # A zip archive knows no time before 1980.
    moment = time.gmtime(max(args.time, 315_532_800))[:6]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name, moment)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if name in executable else 0o100644) << 16
            wheel.writestr(entry, text)
    print(path)


def metadata(version: str, readme: str) -> bytes:
    head = {
        "Metadata-Version": "2.1",
        "Name": NAME,
        "Version": version,
        "Summary": "Run programs on other people's idle machines, with results you can check",
        "License": "MIT OR Apache-2.0",
        "Classifier": "Private :: Do Not Upload",
        "Requires-Python": ">=3.8",
        "Description-Content-Type": "text/markdown",
    }
    return ("".join(f"{key}: {value}\n" for key, value in head.items()) + "\n" + readme).encode()


def digest(text: bytes) -> str:
    sha = hashlib.sha256(text).digest()
    return "sha256=" + base64.urlsafe_b64encode(sha).rstrip(b"=").decode()


if __name__ == "__main__":
    main()
