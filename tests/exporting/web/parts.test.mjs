// The parts of the module, each for itself: node --test tests/exporting/web
import assert from "node:assert/strict";
import { test } from "node:test";

import { Folding, asLearnt, asWritten } from "../../../namegen_ext/exporting/web/folding.mjs";
import { gelu } from "../../../namegen_ext/exporting/web/gpt.mjs";
import { checkOptions, checkSeed } from "../../../namegen_ext/exporting/web/options.mjs";
import { philoxWords } from "../../../namegen_ext/exporting/web/philox.mjs";
import { Rows } from "../../../namegen_ext/exporting/web/rows.mjs";
import { arrayOf, bytesOfBase64 } from "../../../namegen_ext/exporting/web/tensors.mjs";

const base64 = (bytes) => Buffer.from(bytes).toString("base64");

test("philox gives the words that its authors publish", () => {
  // The known answers of Random123, philox4x32 with 10 rounds.
  const words = new Uint32Array(4);
  philoxWords(0, 0, 0, 0, 0, words);
  assert.deepEqual([...words], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
});

test("philox is that of 64-bit arithmetic", () => {
  const slow = (seed, place, block) => {
    const mask = 0xffffffffn;
    let [c0, c1, c2, c3] = [place & mask, place >> 32n, block, 0n];
    let [k0, k1] = [seed & mask, seed >> 32n];
    for (let round = 0; round < 10; round += 1) {
      const [x, y] = [c0 * 0xd2511f53n, c2 * 0xcd9e8d57n];
      [c0, c1, c2, c3] = [(y >> 32n) ^ c1 ^ k0, y & mask, (x >> 32n) ^ c3 ^ k1, x & mask];
      [k0, k1] = [(k0 + 0x9e3779b9n) & mask, (k1 + 0xbb67ae85n) & mask];
    }
    return [c0, c1, c2, c3].map(Number);
  };
  const halves = (value) => [Number(value & 0xffffffffn), Number(value >> 32n)];
  const words = new Uint32Array(4);
  let state = 1n;
  for (let trial = 0; trial < 300; trial += 1) {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
    const [seed, place, block] = [state, state ^ (state >> 29n), state & 15n];
    philoxWords(...halves(seed), ...halves(place), Number(block), words);
    assert.deepEqual([...words], slow(seed, place, block));
  }
});

test("base64 of every length is read", () => {
  for (let length = 0; length < 70; length += 1) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 37 + length) & 255);
    assert.deepEqual(bytesOfBase64(base64(bytes)), bytes);
  }
});

test("tensors are read, and wrong ones refused", () => {
  const numbers = new Float32Array([1.5, -2, 1e-30, 3]);
  const tensor = { dtype: "float32", shape: [2, 2], data: base64(new Uint8Array(numbers.buffer)) };
  assert.deepEqual(arrayOf(tensor), numbers);
  assert.throws(() => arrayOf({ ...tensor, shape: [3, 2] }), /must hold 24 bytes, but holds 16/);
  assert.throws(() => arrayOf({ ...tensor, dtype: "int8" }), /dtype must be one of/);
});

// A model that gives the same logits behind every context.
const even = (logits) => ({
  vocab: logits.length,
  start: () => 0,
  append: (context) => context + 1,
  key: (context) => String(context),
  logits: (context, out) => out.set(logits),
});

test("a row draws the first symbol whose cumulative probability exceeds the word", () => {
  const rows = new Rows(even([Math.log(1), Math.log(2), Math.log(1)]));
  const row = rows.rowOf(0, false);
  const quarter = 2 ** 30;
  assert.deepEqual([0, quarter - 1, quarter, 3 * quarter - 1, 3 * quarter, 2 ** 32 - 1].map((word) => rows.draw(row, word)), [
    0, 0, 1, 1, 2, 2,
  ]);
  const first = rows.rowOf(0, true);
  assert.equal(rows.draw(first, 0), 1);
  assert.equal(rows.draw(first, 2 ** 32 - 1), 2);
});

test("the largest word never draws a symbol that cannot be", () => {
  const rows = new Rows(even([0, 0, -1e4]));
  assert.equal(rows.draw(rows.rowOf(0, false), 2 ** 32 - 1), 1);
});

test("top-k keeps the first of equal symbols, and the temperature sharpens", () => {
  const words = Array.from({ length: 64 }, (_, i) => i * 2 ** 26 + 9);
  const drawn = (shaping, logits, withoutEnd = false) => {
    const rows = new Rows(even(logits), shaping);
    const row = rows.rowOf(0, withoutEnd);
    return new Set(words.map((word) => rows.draw(row, word)));
  };
  assert.deepEqual(drawn({ topK: 2 }, [1, 0, 1, 1]), new Set([0, 2]));
  assert.deepEqual(drawn({ topK: 2 }, [1, 0, 1, 1], true), new Set([2, 3]));
  assert.deepEqual(drawn({ temperature: 0.01 }, [0, 1, 0]), new Set([1]));
});

test("rows are forgotten when they are too many, and drawn again as before", () => {
  const rows = new Rows(even(new Array(90).fill(0)));
  rows.most = 300;
  const symbols = (limit) => {
    let row = rows.rowOf(0, true);
    return Array.from({ length: limit }, (_, i) => {
      const symbol = rows.draw(row, (i * 2654435761) >>> 0);
      row = rows.follow(row, symbol);
      return symbol;
    });
  };
  const drawn = symbols(1000);
  assert.ok(rows.contexts.length <= 300);
  assert.deepEqual(symbols(1000), drawn);
});

test("logits that are not finite are refused", () => {
  assert.throws(() => new Rows(even([NaN, 0])).rowOf(0, false), /not finite/);
});

test("gelu is x times the normal distribution", () => {
  // Values of 0.5 x erfc(-x / sqrt(2)) by Python's math.erfc.
  const known = [
    [-9, -1.015729565358458e-18],
    [-5, -1.4332578593959731e-06],
    [-1, -0.15865525393145707],
    [0, 0.0],
    [0.5, 0.34573123063700656],
    [2, 1.9544997361036416],
    [4.3, 4.299963278406475],
    [9, 9.0],
  ];
  for (const [x, expected] of known) assert.ok(Math.abs(gelu(x) - expected) < 1e-14, `gelu(${x}) is ${gelu(x)}`);
});

test("names are folded, learnt and written as in Python", () => {
  const folding = new Folding({ ß: "ss", Ë: "e\u0308", ë: "e\u0308" }, ["ß", "Ë", "ë"]);
  assert.equal(folding.fold("zoë"), "zoe\u0308");
  assert.equal(folding.fold("straße"), "strasse");
  assert.equal(new Folding({}, ["a"]).fold("ab"), "ab");
  assert.equal(asLearnt("ZOE\u0308", { case: "lower", normalize: "nfc" }), "zoë");
  assert.equal(asLearnt("ZOE", { case: "keep", normalize: "none" }), "ZOE");
  const titled = Object.fromEntries([..."abcdefghijklmnopqrstuvwxyz"].map((letter) => [letter, letter.toUpperCase()]));
  const written = (name) => asWritten(name, { case: "title", titled });
  assert.equal(written("st. ives"), "St. Ives");
  assert.equal(written("o'brien-smith"), "O'Brien-Smith");
  assert.equal(written("land's end"), "Land's End");
});

test("seeds of 64 bits are taken in every form", () => {
  for (const seed of [0, 7, 2 ** 53 - 1, 2n ** 64n - 1n, "18446744073709551615"]) {
    assert.equal(checkSeed(seed), BigInt(seed));
  }
  for (const seed of [-1, 0.5, 2 ** 60, 2n ** 64n, "x", "", " 7", "18446744073709551616", null, {}]) {
    assert.throws(() => checkSeed(seed), /seed must be a whole number/, String(seed));
  }
});

test("every wrong option is named", () => {
  const model = { symbols: ["a", "b"], maxLength: 64, hasNames: true };
  const wrong = [
    { temperature: 0 }, { temperature: NaN }, { temperature: "1" }, { topK: 0 }, { topK: 4 }, { minLength: 0 },
    { maxLength: 65 }, { minLength: 3, maxLength: 2 }, { prefix: 5 }, { suffix: null, prefix: {} }, { without: 1 },
    { novel: "yes" }, { unique: 1 }, { patience: 0 },
  ];
  for (const options of wrong) {
    const name = Object.keys(options).find((option) => options[option] !== null);
    assert.throws(() => checkOptions(options, model), new RegExp(`${name}|prefix`), JSON.stringify(options));
  }
  assert.throws(() => checkOptions({ temprature: 1 }, model), /temprature is no option/);
  assert.throws(() => checkOptions({ novel: true }, { ...model, hasNames: false }), /novel must be false/);
});
