// Counts the words of its input: a program in JavaScript, bytes in, bytes out.
//
// What is thrown as bytes becomes standard error and exit code 1. Nothing is imported: there is no
// clock, no network and no randomness here to depend on.

export const handler = {
  handle(input) {
    const counts = new Map();
    for (const [word] of text(input).toLowerCase().matchAll(/[^\s\d.,;:!?"()-]+/g)) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
    const sorted = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
    return bytes(sorted.map(([word, n]) => `${n} ${word}\n`).join(""));
  },
};

function text(input) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(input);
  } catch {
    throw bytes(`the input (${input.length} bytes) is not UTF-8 text\n`);
  }
}

function bytes(text) {
  return new TextEncoder().encode(text);
}
