"""Checks spec/vectors with nothing of the project's own code: what protocol.md says, once more.

    python spec/check.py [FOLDER]

Every valid vector must be accepted and every invalid one refused for the reason it lists. Ends with
1 and a line for each vector that is not so. What it imports is pinned in requirements.txt.
"""

import base64
import json
import re
import sys
from pathlib import Path

import coincurve
from blake3 import blake3
from Crypto.Hash import keccak as keccak_module
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

HERE = Path(__file__).resolve().parent
AMOUNT_MAX = 2**128 - 1
FRAME_BYTES_MAX = 1 << 20
GROUP_BYTES = 16 << 10
SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class Refused(Exception):
    """The reason, as the vectors name it."""


def need(holds, reason):
    if not holds:
        raise Refused(reason)


# --- canonical CBOR ---


def read_item(data, at, depth=0):
    """One item in its only spelling: the value and where it ends."""
    need(at < len(data) and depth < 32, "encoding")
    major, small = data[at] >> 5, data[at] & 31
    if small < 24:
        value, at = small, at + 1
    else:
        need(small < 28, "encoding")
        length = 1 << (small - 24)
        need(at + 1 + length <= len(data), "encoding")
        value = int.from_bytes(data[at + 1 : at + 1 + length], "big")
        need(value >= (24 if length == 1 else 1 << (4 * length)), "encoding")
        at += 1 + length
    if major == 0:
        return value, at
    if major in (2, 3):
        need(at + value <= len(data), "encoding")
        content = data[at : at + value]
        try:
            return (content if major == 2 else content.decode()), at + value
        except UnicodeDecodeError:
            raise Refused("encoding") from None
    if major == 4:
        items = []
        for _ in range(value):
            item, at = read_item(data, at, depth + 1)
            items.append(item)
        return items, at
    need(major == 7 and data[at - 1] in (0xF4, 0xF5, 0xF6), "encoding")
    return {0xF4: False, 0xF5: True, 0xF6: None}[data[at - 1]], at


def write_item(value):
    """The only spelling of a value."""

    def head(major, number):
        if number < 24:
            return bytes([major << 5 | number])
        for small, length in ((24, 1), (25, 2), (26, 4), (27, 8)):
            if number < 1 << (8 * length):
                return bytes([major << 5 | small]) + number.to_bytes(length, "big")
        raise ValueError(number)

    if value is None or isinstance(value, bool):
        return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    return head(4, len(value)) + b"".join(write_item(item) for item in value)


# --- the part of CDDL that ayni.cddl uses: arrays, choices, ranges, sizes ---


class Cddl:
    """Rules by name; each becomes a function from a value to whether it fits."""

    def __init__(self, text):
        text = re.sub(r";.*", "", text)
        self.tokens = re.findall(r"\.\.|\.size|[\w-]+|[^\s\w]", text)
        self.rules = {
            "uint": lambda v: type(v) is int,
            "bytes": lambda v: isinstance(v, bytes),
            "tstr": lambda v: isinstance(v, str),
            "bool": lambda v: isinstance(v, bool),
            "null": lambda v: v is None,
        }
        while self.tokens:
            name = self.tokens.pop(0)
            assert self.tokens.pop(0) == "=" and name not in self.rules, name
            self.rules[name] = self.choice()

    def next_is(self, token):
        if self.tokens and self.tokens[0] == token:
            return self.tokens.pop(0)
        return None

    def choice(self):
        choices = [self.sized()]
        while self.next_is("/"):
            choices.append(self.sized())
        return lambda v: any(fits(v) for fits in choices)

    def sized(self):
        name = self.tokens[0]
        fits = self.atom()
        if not self.next_is(".size"):
            return fits
        size = int(self.tokens.pop(0))
        if name == "uint":
            return lambda v: fits(v) and v < 1 << (8 * size)
        return lambda v: fits(v) and len(v) == size

    def atom(self):
        token = self.tokens.pop(0)
        if token == "[":
            return self.array()
        if not token.isdigit():
            return lambda v: self.rules[token](v)
        low = high = int(token)
        if self.next_is(".."):
            high = int(self.tokens.pop(0))
        return lambda v: type(v) is int and low <= v <= high

    def array(self):
        entries = []
        while not self.next_is("]"):
            count = self.next_is("*") or self.next_is("?")
            if self.tokens[1] == ":":
                del self.tokens[:2]
            entries.append((count, self.choice()))
            self.next_is(",")
        if entries[0][0] == "*":
            [(_, fits)] = entries
            return lambda v: isinstance(v, list) and all(fits(item) for item in v)
        least = sum(count is None for count, _ in entries)
        # What may be left out comes last.
        assert all(count is None for count, _ in entries[:least])
        return lambda v: (
            isinstance(v, list)
            and least <= len(v) <= len(entries)
            and all(fits(item) for item, (_, fits) in zip(v, entries))
        )


CDDL = Cddl((HERE / "ayni.cddl").read_text())


def decode(rule, data):
    """The value of canonical bytes of the type that the CDDL calls `rule`."""
    value, end = read_item(data, 0)
    need(end == len(data), "encoding")
    need(CDDL.rules[rule](value), "encoding")
    for task in tasks_in(rule, value):
        for path, _, _ in task[5]:
            need(path.startswith("/") and safe_path(path[1:]), "encoding")
    assert write_item(value) == data
    return value


def tasks_in(rule, value):
    if rule == "task":
        return [value]
    if rule == "receipt-file":
        return [value[1]]
    if rule == "message" and value[0] == 8:
        return [value[1][0][1]]
    return []


# --- tasks ---


def safe_path(path):
    return (
        len(path.encode()) < 1024
        and not re.search(r"[\x00-\x1f\x7f-\x9f]", path)
        and all(name not in ("", ".", "..") and len(name.encode()) <= 255 for name in path.split("/"))
    )


def inside(path, other):
    return path == other or path.startswith(other + "/")


def check_task(task):
    engine, _, args, env, _, mounts, limits = task[:7]
    need(engine == "wasi1", "engine")
    need(len(args) <= 4096 and len(env) <= 1024 and len(mounts) <= 256, "limit")
    memory, fuel, stack, output = limits
    need(memory <= 4 << 30 and stack <= 64 << 20 and output <= 4 << 30, "limit")
    need(fuel < 1 << 63, "limit")
    text = sum(len(arg.encode()) + 1 for arg in args)
    text += sum(len(name.encode()) + len(value.encode()) + 2 for name, value in env)
    need(text <= 128 << 10, "limit")
    need(not any("\0" in arg for arg in args), "text")
    for name, value in env:
        need(name and "=" not in name and "\0" not in name and "\0" not in value, "text")
    names = [name.encode() for name, _ in env]
    need(all(a < b for a, b in zip(names, names[1:])), "order")
    paths = [path for path, _, _ in mounts]
    ordered = [path.encode() for path in paths]
    need(all(a < b for a, b in zip(ordered, ordered[1:])), "order")
    for at, path in enumerate(paths):
        for other in ["/tmp", "/out", *paths[:at]]:
            need(not inside(path, other) and not inside(other, path), "overlap")


def check_tree(tree):
    paths = [path for path, _, _ in tree[0]]
    need(len(paths) <= 65536, "limit")
    need(all(safe_path(path) for path in paths), "text")
    for a, b in zip(paths, paths[1:]):
        parts = [[part.encode() for part in path.split("/")] for path in (a, b)]
        need(parts[0] < parts[1], "order")
        need(not b.startswith(a + "/"), "text")


# --- hashes ---


def keccak(*parts):
    return keccak_module.new(digest_bits=256, data=b"".join(parts)).digest()


def word(number):
    return number.to_bytes(32, "big")


def derived(context, data):
    return blake3(data, derive_key_context=context).digest()


def leaf_hash(receipt):
    lease, batch, index, assignment, task, outcome, fuel, code, data, price, _ = receipt
    numbers = [word(number) for number in (batch, index, assignment)]
    billed = [word(number) for number in (fuel, code, data, int.from_bytes(price, "big"))]
    return keccak(keccak(lease.ljust(32, b"\0"), *numbers, task, outcome, *billed))


def parent(a, b):
    return keccak(min(a, b), max(a, b))


def merkle_root(leaves):
    level = leaves
    while len(level) > 1:
        pairs = [level[at : at + 2] for at in range(0, len(level), 2)]
        level = [parent(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0] if level else bytes(32)


def proven(leaf, proof, root):
    for sibling in proof:
        leaf = parent(leaf, sibling)
    return leaf == root


def batch_hash(header):
    lease, batch, count, root = header
    domain = keccak(
        keccak(b"EIP712Domain(string name,string version)"), keccak(b"Ayni"), keccak(b"1")
    )
    body = keccak(
        keccak(b"Batch(bytes16 lease,uint64 batch,uint32 count,bytes32 root)"),
        lease.ljust(32, b"\0"),
        word(batch),
        word(count),
        root,
    )
    return keccak(b"\x19\x01", domain, body)


def typed_for(name, chain, contract, body):
    domain = keccak(
        keccak(
            b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
        ),
        keccak(name),
        keccak(b"1"),
        word(chain),
        contract.rjust(32, b"\0"),
    )
    return keccak(b"\x19\x01", domain, body)


def x402(ledger, body):
    return typed_for(b"x402 Batch Settlement", ledger[0], ledger[1], body)


def backing_hash(lease, disputes):
    ledger, channel = lease[16]
    body = keccak(
        keccak(b"Backing(bytes16 lease,address requester)"),
        lease[0].ljust(32, b"\0"),
        channel[0].rjust(32, b"\0"),
    )
    return typed_for(b"Ayni Disputes", ledger[0], disputes, body)


def channel_id(paid_by):
    ledger, (*accounts, delay, salt) = paid_by
    types = (
        b"ChannelConfig(address payer,address payerAuthorizer,address receiver,"
        b"address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt)"
    )
    accounts = [account.rjust(32, b"\0") for account in accounts]
    return x402(ledger, keccak(keccak(types), *accounts, word(delay), salt))


def voucher_hash(ledger, channel, ceiling):
    types = b"Voucher(bytes32 channelId,uint128 maxClaimableAmount)"
    return x402(ledger, keccak(keccak(types), channel, ceiling.rjust(32, b"\0")))


def price_of(prices, fuel, code_bytes, data_bytes):
    total = 0
    for price, quantity, unit in zip(prices, (fuel, code_bytes, data_bytes), (10**9, 1 << 20, 1 << 20)):
        total += -(-min(price * quantity, AMOUNT_MAX) // unit)
    return min(total, AMOUNT_MAX)


# --- signatures ---

# Points of small order, which sign anything, in every spelling.
SMALL_ORDER = {
    bytes.fromhex(start + "00" * 30 + end)
    for start, end in (("01", "00"), ("01", "80"), ("00", "00"), ("00", "80"))
} | {
    bytes.fromhex(start + "ff" * 30 + end) for start in ("ec", "ed", "ee") for end in ("7f", "ff")
} | {
    bytes.fromhex(point + end)
    for point, ends in (
        ("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc", ("05", "85")),
        ("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03", ("7a", "fa")),
    )
    for end in ends
}


def node_signed(key, message, signature):
    if key in SMALL_ORDER or signature[:32] in SMALL_ORDER:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def statement(domain, body):
    return domain.encode() + b"\0" + write_item(body)


def address(public_key):
    return keccak(public_key.format(compressed=False)[1:])[12:]


def batch_signer(digest, signature):
    """The address that signed, or None."""
    s = int.from_bytes(signature[32:64], "big")
    if signature[64] not in (27, 28) or s > SECP256K1_ORDER // 2:
        return None
    compact = signature[:64] + bytes([signature[64] - 27])
    try:
        return address(coincurve.PublicKey.from_signature_and_message(compact, digest, hasher=None))
    except Exception:  # the library has no class of its own for this
        return None


def culprit_of(proof):
    """Whose fraud two roots for one batch number prove."""
    (lease, _, by_provider, _), *signed = proof
    first, second = (header for header, _ in signed)
    need(first[0] == second[0] == lease[0] and first[1] == second[1], "fraud")
    need(first != second, "fraud")
    for header, signature in signed:
        need(batch_signer(batch_hash(header), signature) == lease[11], "fraud")
    need(node_signed(lease[2], statement("ayni lease 1", lease), by_provider), "fraud")
    return lease[2]


def backed(lease, backing):
    """Whether the lease's batch key says that stake stands behind it."""
    disputes, signature = backing
    if lease[16] is None:
        return False
    return batch_signer(backing_hash(lease, disputes), signature) == lease[11]


def receipt_checks(file):
    """Every check of a stand-alone receipt by its statement, and whether it holds."""
    version, task, outcome, receipt, proof, header, signature, full_lease = file
    lease, by_requester, by_provider, backing = full_lease
    try:
        check_task(task)
        well_formed = True
    except Refused:
        well_formed = False
    prices = [int.from_bytes(price, "big") for price in lease[7]]
    price = price_of(prices, receipt[6], receipt[7], receipt[8])
    count = header[2]
    message = statement("ayni lease 1", lease)
    return {
        "the format is known": version == 1,
        "the task is well-formed": well_formed,
        "the receipt is for this task": derived("ayni task 1", write_item(task)) == receipt[4],
        "the receipt commits to this outcome": derived("ayni outcome 1", write_item(outcome))
        == receipt[5],
        "the receipt bills the outcome's fuel": outcome[1] == receipt[6],
        "the fuel is within the task's limit": outcome[1] <= task[6][1],
        "the price follows from the lease": price == int.from_bytes(receipt[9], "big"),
        "receipt, batch and lease belong together": receipt[0] == header[0] == lease[0]
        and receipt[1] == header[1]
        and receipt[2] < count,
        "the receipt is in the batch": len(proof) <= (max(count, 1) - 1).bit_length()
        and proven(leaf_hash(receipt), proof, header[3]),
        "the batch is signed with the lease's key": batch_signer(batch_hash(header), signature)
        == lease[11],
        "the provider signed the lease": node_signed(lease[2], message, by_provider),
        "the requester signed the lease": node_signed(lease[1], message, by_requester),
        "what backs the lease is signed with its key": backing is None or backed(lease, backing),
    }


# --- text ---

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def node_from_text(text):
    need(text.startswith("did:key:z") and len(text) <= 73, "form")
    number = 0
    for letter in text[9:]:
        need(letter in BASE58, "form")
        number = number * 58 + BASE58.index(letter)
    zeros = len(text[9:]) - len(text[9:].lstrip("1"))
    key = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    need(len(key) == 34 and key[:2] == b"\xed\x01", "form")
    return key[2:]


def digest_from_text(text):
    need(re.fullmatch(r"[0-9a-fA-F]{64}", text), "form")
    return bytes.fromhex(text)


def ticket_from_text(text, now):
    text = text.strip()
    need(text.startswith("ayni1") and re.fullmatch(r"[A-Za-z2-7]*", text[5:]), "form")
    body = text[5:].upper()
    try:
        data = base64.b32decode(body + "=" * (-len(body) % 8))
    except ValueError:
        raise Refused("form") from None
    need(base64.b32encode(data).decode().rstrip("=") == body, "form")
    try:
        ticket, signature = decode("signed-ticket", data)
    except Refused:
        raise Refused("form") from None
    need(node_signed(ticket[0], statement("ayni ticket 1", ticket), signature), "signature")
    need(len(ticket[1]) <= 64 and all(len(addr[1]) <= 16 for addr in ticket[1]), "form")
    need(ticket[2] >= now, "expired")
    return ticket


# --- the vectors ---

COUNT = 0
FAILED = []


def expect(name, expected, found):
    global COUNT
    COUNT += 1
    if expected != found:
        FAILED.append(f"{name}: expected {expected!r}, found {found!r}")


def reason_of(work):
    try:
        work()
    except Refused as refused:
        return refused.args[0]
    return None


def each(vectors, work):
    """`work` accepts what is valid and refuses what is invalid, for the reason given."""
    for vector in vectors["valid"]:
        expect(vector.get("name", "valid"), None, reason_of(lambda: work(vector)))
    for vector in vectors["invalid"]:
        expect(vector["name"], vector["reason"], reason_of(lambda: work(vector)))


def unhex(vector, key="bytes"):
    return bytes.fromhex(vector[key])


def check_contracts(vectors):
    names = "lease batch index assignment task outcome fuel code_bytes data_bytes".split()
    binary = {"lease", "task", "outcome", "root"}

    def values(v, names):
        return [bytes.fromhex(v[name]) if name in binary else int(v[name]) for name in names]

    def signed(v):
        digest = batch_hash(values(v, ("lease", "batch", "count", "root")))
        expect("batch hash", v["hash"], digest.hex())
        signer = batch_signer(digest, unhex(v, "signature"))
        expect("batch signer", vectors["signer"], signer and signer.hex())

    for batch in vectors["batches"]:
        signed(batch["header"])
        for v in batch["receipts"]:
            price = int(v["receipt"]["price"]).to_bytes(16, "big")
            leaf = leaf_hash([*values(v["receipt"], names), price, None])
            expect("leaf", v["leaf"], leaf.hex())
            proof = [bytes.fromhex(sibling) for sibling in v["proof"]]
            expect("proof", True, proven(leaf, proof, unhex(batch["header"], "root")))
    for name in ("first", "second"):
        signed(vectors["two_roots"][name])
    channel = vectors["channel"]
    terms = channel["terms"]

    def account(text):
        return bytes(12) + bytes.fromhex(text[2:])

    domain = keccak(
        keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
        keccak(b"x402 Batch Settlement"),
        keccak(b"1"),
        word(channel["chain"]),
        account(channel["channels"]),
    )
    config = keccak(
        b"ChannelConfig(address payer,address payerAuthorizer,address receiver,"
        b"address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt)"
    )
    parties = [account(terms[key]) for key in ("payer", "payer_key", "payee", "payee_key", "token")]
    body = keccak(config, *parties, word(terms["withdraw_delay_s"]), unhex(terms, "salt"))
    expect("channel id", channel["id"], keccak(b"\x19\x01", domain, body).hex())
    promise = keccak(b"Voucher(bytes32 channelId,uint128 maxClaimableAmount)")
    for v in channel["vouchers"]:
        body = keccak(promise, unhex(channel, "id"), word(int(v["ceiling"])))
        digest = keccak(b"\x19\x01", domain, body)
        expect("voucher hash", v["hash"], digest.hex())
        signer = batch_signer(digest, unhex(v, "signature"))
        expect("voucher signer", terms["payer_key"], signer and "0x" + signer.hex())


def check_encoding(vectors):
    each(vectors, lambda v: decode(v["type"], unhex(v)))


def check_tasks(vectors):
    rules = {"task": check_task, "tree": check_tree}
    each(vectors, lambda v: rules[v["type"]](decode(v["type"], unhex(v))))


def check_hashes(vectors):
    for v in vectors["digests"]:
        expect("digest", v["digest"], blake3(unhex(v)).hexdigest())
    for v in vectors["task_ids"]:
        expect("task id", v["id"], derived("ayni task 1", unhex(v)).hex())
    for v in vectors["outcome_digests"]:
        expect("outcome digest", v["digest"], derived("ayni outcome 1", unhex(v)).hex())
    for v in vectors["leaves"]:
        expect("leaf", v["leaf"], leaf_hash(decode("receipt", unhex(v, "receipt"))).hex())
    for v in vectors["batch_hashes"]:
        expect("batch hash", v["hash"], batch_hash(decode("header", unhex(v, "header"))).hex())
    for v in vectors["channels"]:
        ledger, terms = paid_by = decode("paid-by", unhex(v, "paid_by"))
        channel, ceiling, signature = decode("voucher", unhex(v, "voucher"))
        expect("channel id", v["channel"], channel_id(paid_by).hex())
        expect("channel", v["channel"], channel.hex())
        voucher = voucher_hash(ledger, channel, ceiling)
        expect("voucher hash", v["hash"], voucher.hex())
        expect("payer", terms[1].hex(), batch_signer(voucher, signature).hex())
        for name, other in [("ceiling", voucher_hash(ledger, channel, bytes(16))),
                            ("chain", voucher_hash([1, ledger[1]], channel, ceiling))]:
            expect(name, False, batch_signer(other, signature) == terms[1])
    for v in vectors["trees"]:
        leaves = [bytes.fromhex(leaf) for leaf in v["leaves"]]
        root = merkle_root(leaves)
        expect("root", v["root"], root.hex())
        for leaf, proof in zip(leaves, v["proofs"], strict=True):
            proof = [bytes.fromhex(sibling) for sibling in proof]
            expect("proof", True, proven(leaf, proof, root))
    for v in vectors["wrong_proofs"]:
        proof = [bytes.fromhex(sibling) for sibling in v["proof"]]
        expect(v["name"], False, proven(unhex(v, "leaf"), proof, unhex(v, "root")))
    for v in vectors["prices"]:
        keys = ("per_gigafuel", "per_code_mebibyte", "per_data_mebibyte")
        quantities = [int(v[key]) for key in ("fuel", "code_bytes", "data_bytes")]
        expect("price", int(v["price"]), price_of([int(v[key]) for key in keys], *quantities))


def check_signatures(vectors):
    secrets = {name: bytes.fromhex(secret) for name, secret in vectors["secrets"].items()}

    def node(v):
        message = unhex(v, "message")
        need(node_signed(unhex(v, "key"), message, unhex(v, "signature")), "signature")

    def batch(v):
        signer = batch_signer(unhex(v, "hash"), unhex(v, "signature"))
        need(signer == unhex(v, "address"), "signature")

    each(vectors["node"], node)
    each(vectors["batch"], batch)
    each(vectors["fraud"], lambda v: culprit_of(decode("two-roots", unhex(v))))
    for v in vectors["fraud"]["valid"]:
        expect("culprit", v["culprit"], culprit_of(decode("two-roots", unhex(v))).hex())
    for v in vectors["audit_commitments"]:
        expect("commitment", v["commitment"], blake3(b"ayni audit seed" + unhex(v, "seed")).hexdigest())
    # Signing is deterministic, so what is made here must be what is there.
    for v in vectors["node"]["valid"]:
        message = v["domain"].encode() + b"\0" + unhex(v, "body")
        expect("message", v["message"], message.hex())
        made = [Ed25519PrivateKey.from_private_bytes(secrets[who]) for who in ("requester", "provider")]
        keys = {key.public_key().public_bytes_raw(): key for key in made}
        expect("signed", v["signature"], keys[unhex(v, "key")].sign(message).hex())
    for v in vectors["batch"]["valid"]:
        key = coincurve.PrivateKey(secrets["batch"])
        expect("address", v["address"], address(key.public_key).hex())
        signature = key.sign_recoverable(unhex(v, "hash"), hasher=None)
        signature = signature[:64] + bytes([27 + signature[64]])
        expect("signed", v["signature"], signature.hex())


def check_receipts(vectors):
    for v in vectors["valid"]:
        checks = receipt_checks(decode("receipt-file", unhex(v)))
        expect(v["name"], vectors["checks"], list(checks))
        expect(v["name"], [], [name for name, holds in checks.items() if not holds])
    honest = unhex(vectors, "of")
    for v in vectors["altered"] + vectors["beside"]:
        bent = bytearray(honest)
        bent[v["byte"]] ^= 1
        try:
            checks = receipt_checks(decode("receipt-file", bytes(bent)))
            failed = [name for name, holds in checks.items() if not holds]
        except Refused as refused:
            failed = [refused.args[0]]
        expect(v["field"], v.get("failed", []), failed)


def check_text(vectors):
    for key, read in (("nodes", node_from_text), ("digests", digest_from_text)):
        for v in vectors[key]["valid"]:
            expect(v["text"], v["bytes"], read(v["text"]).hex())
        for text in vectors[key]["invalid"]:
            expect(text, "form", reason_of(lambda: read(text)))
    each(vectors["tickets"], lambda v: ticket_from_text(v["text"], v["now"]))


def check_frames(vectors):
    def little(data):
        return int.from_bytes(data, "little")

    def frame(data):
        need(little(data[:4]) <= FRAME_BYTES_MAX, "limit")
        return {"length": little(data[:4]), "number": str(little(data[4:]))}

    def request(data):
        start, end = little(data[32:40]), little(data[40:])
        need(start <= end and start % GROUP_BYTES == 0, "range")
        return {"digest": data[:32].hex(), "start": str(start), "end": str(end)}

    def answer(data):
        size = little(data[1:])
        need(data[0] <= 4 and (data[0] == 0 or size == 0), "form")
        return {"status": data[0], "size": str(size)}

    for key, length, read in (("frames", 12, frame), ("requests", 48, request), ("answers", 9, answer)):
        for v in vectors[key]:
            data = unhex(v)
            expect(key, length, len(data))
            expect(f"{key} {v['bytes']}", v["reason"], reason_of(lambda: read(data)))
            if v["reason"] is None:
                found = read(data)
                expect(key, found, {name: v[name] for name in found})


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "vectors"
    areas = {
        "contracts": check_contracts,
        "encoding": check_encoding,
        "frames": check_frames,
        "hashes": check_hashes,
        "receipts": check_receipts,
        "signatures": check_signatures,
        "tasks": check_tasks,
        "text": check_text,
    }
    files = sorted(path.stem for path in folder.glob("*.json"))
    expect("files", sorted(areas), files)
    for name, check in areas.items():
        check(json.loads((folder / f"{name}.json").read_text()))
    for line in FAILED:
        print(line, file=sys.stderr)
    print(f"{COUNT} checks, {len(FAILED)} failed")
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
