// Names of several categories in one model. Each category has a mark, a symbol numbered behind the letters. A network has
// it at the oldest place of every window, counts may have it at the newest, and a GPT behind the start of a name. Marks
// are never drawn.

import { blockUniforms } from "./uniforms.mjs";

// The model of the names of one category; context.mjs says how it is asked.
export class CategoryModel {
  constructor(base, mark, vocab) {
    this.base = base;
    this.mark = mark;
    this.vocab = vocab; // without the marks
    this.contextBytes = base.contextBytes;
    this.all = new Float64Array(base.vocab);
  }

  start() {
    return this.base.markedStart(this.mark);
  }

  append(context, symbol) {
    return this.base.markedAppend(context, symbol, this.mark);
  }

  key(context) {
    return this.base.key(context);
  }

  logits(context, out) {
    this.base.logits(context, this.all);
    out.set(this.all.subarray(0, this.vocab));
  }
}

// The parts that names are drawn from: [{ number, share }], of the categories that are asked for.
export function partsOf(category, categories) {
  if (categories === null) {
    if (category === undefined) return [{ number: 0, share: 1 }];
    throw new RangeError("category must be left out: the list of this model has no categories");
  }
  const asked =
    category === undefined ? categories.map(({ name, share }) => [name, share])
    : typeof category === "string" ? [[category, 1]]
    : Object.entries(Object(category));
  const parts = asked.map(([name, share]) => {
    const number = categories.findIndex((known) => known.name === name);
    if (number < 0) {
      const names = categories.map((known) => known.name).join(", ");
      throw new RangeError(`category must be one of ${names}, but got ${JSON.stringify(name)}`);
    }
    return { number, share };
  });
  const isShare = ({ share }) => typeof share === "number" && share >= 0 && share <= 1;
  const sum = parts.reduce((total, { share }) => total + share, 0);
  if (!parts.every(isShare) || Math.abs(sum - 1) > 1e-6) {
    throw new RangeError("category must be a name, or have shares from 0 to 1 that sum to 1");
  }
  return parts.filter(({ share }) => share > 0);
}

const BLOCK = 1024;
const SEED_STEP = 0x9e3779b97f4a7c15n;

// The seed of the stream of a part, so that parts that are alike do not draw the same names.
export function seedOfPart(seed, place) {
  return (seed + BigInt(place) * SEED_STEP) & 0xffffffffffffffffn;
}

// A function from places of the stream to { part, place }: the part that a name is drawn from, and its place in the
// stream of the part. Names are shared out 1,024 at a time, and those of each part are the next ones of its stream.
export function sharedOut(parts, seed) {
  if (parts.length === 1) return (place) => ({ part: 0, place });
  const limits = [];
  let sum = 0;
  for (const { share } of parts) limits.push((sum += share));
  let block = -1;
  let chosen = [];
  return (place) => {
    const own = Math.floor(place / BLOCK);
    if (own !== block) {
      block = own;
      const drawn = new Array(parts.length).fill(0);
      chosen = blockUniforms(seed, block).map((uniform) => {
        let part = 0;
        while (part + 1 < parts.length && limits[part] / sum <= uniform) part += 1;
        return { part, place: block * BLOCK + drawn[part]++ };
      });
    }
    return chosen[place - block * BLOCK];
  };
}
