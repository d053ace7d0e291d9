"""Everything that a function may import in the guest: imported once, when the guest is built.

The guest has no files of its own while it runs, so what is not here can't be imported. Left out on
purpose: what needs a network, processes, threads, a terminal or another machine's answer.
"""

import importlib
import json
import pathlib
import sys

WANTED = """
__future__ _pydatetime _pydecimal _strptime abc argparse array ast base64 binascii bisect builtins
calendar cmath codecs collections collections.abc colorsys concurrent.futures configparser contextlib
contextvars copy copyreg csv dataclasses datetime decimal difflib dis email email.message
email.parser encodings.ascii encodings.latin_1 encodings.utf_16 encodings.utf_8 encodings.cp1252
encodings.idna enum errno fnmatch fractions functools gc getpass glob graphlib gzip hashlib heapq
hmac html html.entities html.parser importlib importlib.machinery importlib.util inspect io
ipaddress itertools json keyword linecache locale logging math mimetypes numbers operator os os.path
pathlib pickle pickletools platform posixpath pprint queue random re reprlib sched secrets shlex
shutil statistics stat string stringprep struct sys tempfile textwrap threading time timeit token
tokenize tomllib traceback types typing unicodedata unittest unittest.mock urllib.parse uuid warnings
weakref xml.dom.minidom xml.etree.ElementTree zipfile zlib zoneinfo
"""

# Imported by others, but useless without a network, processes and signals: not told as importable,
# so that a function which needs them is refused before it travels.
USELESS = """_asyncio _posixsubprocess _socket _ssl asyncio multiprocessing select selectors socket
socketserver ssl subprocess http.client urllib.request"""

MISSING = {}
for _name in WANTED.split():
    try:
        importlib.import_module(_name)
    except Exception as _error:
        MISSING[_name] = f"{type(_error).__name__}: {_error}"


def describe():
    """Version and importable modules, as JSON: what `ayni` is built with."""
    ours = ("wit_world", "componentize", "app", "modules", "poll_loop", "__main__")
    useless = USELESS.split()
    known = sorted(
        name
        for name in sys.modules
        if not name.startswith(ours)
        and not any(name == one or name.startswith(one + ".") for one in useless)
    )
    return json.dumps(
        {"python": sys.version.split()[0], "modules": known, "missing": MISSING}
    ).encode()


# Told to whoever builds the guest, beside this file: only while it is built is there such a folder.
pathlib.Path(__file__).with_name("modules.json").write_bytes(describe() + b"\n")
