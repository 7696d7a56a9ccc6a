// Checks what sample() and names() are asked for. Every error is one sentence that names the option.

import { partsOf } from "./categories.mjs";

const KNOWN = [
  "seed", "temperature", "topK", "prefix", "minLength", "maxLength", "suffix", "without", "novel", "unique", "patience",
  "category",
];
export const DEFAULT_PATIENCE = 100000;

export function checkOptions(options, { symbols, maxLength, hasNames, categories = null }) {
  for (const name of Object.keys(options)) {
    if (!KNOWN.includes(name)) throw new TypeError(`${name} is no option; the options are ${KNOWN.join(", ")}`);
  }
  const checked = {
    seed: checkSeed(options.seed ?? freshSeed()),
    temperature: options.temperature ?? 1,
    topK: options.topK ?? symbols.length + 1,
    prefix: options.prefix ?? "",
    minLength: options.minLength ?? 1,
    maxLength: options.maxLength ?? maxLength,
    suffix: options.suffix ?? "",
    without: options.without ?? "",
    novel: options.novel ?? false,
    unique: options.unique ?? false,
    patience: options.patience ?? DEFAULT_PATIENCE,
    parts: partsOf(options.category, categories),
  };
  if (!Number.isFinite(checked.temperature) || checked.temperature <= 0) {
    throw new RangeError(`temperature must be a finite number above 0, but got ${checked.temperature}`);
  }
  checkWhole("topK", checked.topK, 1, symbols.length + 1);
  checkWhole("minLength", checked.minLength, 1, maxLength);
  checkWhole("maxLength", checked.maxLength, 1, maxLength);
  checkWhole("patience", checked.patience, 1, Number.MAX_SAFE_INTEGER);
  if (checked.minLength > checked.maxLength) {
    throw new RangeError(`minLength must be at most maxLength ${checked.maxLength}, but got ${checked.minLength}`);
  }
  for (const name of ["prefix", "suffix", "without"]) {
    if (typeof checked[name] !== "string") throw new TypeError(`${name} must be a string, but got ${typeof checked[name]}`);
  }
  for (const name of ["novel", "unique"]) {
    if (typeof checked[name] !== "boolean") throw new TypeError(`${name} must be true or false, but got ${checked[name]}`);
  }
  if (checked.novel && !hasNames) {
    throw new RangeError("novel must be false: the names of the list were left out of this file");
  }
  return checked;
}

export function checkWhole(name, value, least, most) {
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new RangeError(`${name} must be a whole number from ${least} to ${most}, but got ${String(value)}`);
  }
}

// A seed as BigInt: a number, a BigInt, or a string of digits.
export function checkSeed(seed) {
  const isDigits = typeof seed === "string" && /^\d{1,20}$/.test(seed);
  const isWhole = typeof seed === "bigint" || Number.isSafeInteger(seed) || isDigits;
  const value = isWhole ? BigInt(seed) : -1n;
  if (value < 0n || value >= 1n << 64n) {
    throw new RangeError(`seed must be a whole number from 0 to 2**64 - 1, but got ${String(seed)}`);
  }
  return value;
}

export function freshSeed() {
  return Math.floor(Math.random() * 4294967296);
}
