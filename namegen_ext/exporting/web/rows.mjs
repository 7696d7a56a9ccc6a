// From contexts to what symbols are drawn by. A row holds the cumulative probabilities behind one context as thresholds:
// a random word w of 32 bits stands for w / 2^32 and draws the first symbol whose cumulative probability exceeds it, so
// that symbol c is passed over where ceil(cumulative(c) * 2^32) <= w.
//
// Rows are kept, with the row that each symbol leads to. Drawing a symbol again is then a look-up.

const KEPT_BYTES = 64 * 1024 * 1024;
const FEWEST_ROWS = 256;
const LARGEST_WORD = 0xffffffff;

export class Rows {
  constructor(model, { temperature = 1, topK = model.vocab } = {}) {
    this.model = model;
    this.vocab = model.vocab;
    this.temperature = temperature;
    this.topK = topK;
    const bytes = 8 * this.vocab + 200 + (model.contextBytes ?? 0);
    this.most = Math.max(FEWEST_ROWS, Math.floor(KEPT_BYTES / bytes));
    this.logits = new Float64Array(this.vocab);
    this.weights = new Float64Array(this.vocab);
    this.forget();
  }

  forget() {
    this.byKey = new Map();
    this.contexts = [];
    this.reserve(FEWEST_ROWS);
  }

  reserve(capacity) {
    const grown = (Type, old, size) => {
      const array = new Type(size);
      if (this.contexts.length > 0) array.set(old);
      return array;
    };
    this.thresholds = grown(Uint32Array, this.thresholds, capacity * this.vocab);
    this.next = grown(Uint32Array, this.next, capacity * this.vocab); // row + 1; 0 where it is not known yet
    this.last = grown(Uint32Array, this.last, capacity); // what the largest word draws
    this.capacity = capacity;
  }

  // The row of a context; the first symbol of a name is drawn without its end.
  rowOf(context, withoutEnd) {
    const key = (withoutEnd ? "first" : "") + this.model.key(context);
    const found = this.byKey.get(key);
    if (found !== undefined) return found;
    if (this.contexts.length === this.most) this.forget();
    if (this.contexts.length === this.capacity) this.reserve(Math.min(2 * this.capacity, this.most));
    const row = this.contexts.length;
    this.contexts.push(context);
    this.byKey.set(key, row);
    this.fill(row, context, withoutEnd);
    return row;
  }

  // The row behind a symbol of a row.
  follow(row, symbol) {
    const place = row * this.vocab + symbol;
    const known = this.next[place];
    if (known > 0) return known - 1;
    const { byKey } = this;
    const next = this.rowOf(this.model.append(this.contexts[row], symbol), false);
    if (byKey === this.byKey) this.next[place] = next + 1; // else all rows were forgotten
    return next;
  }

  draw(row, word) {
    if (word === LARGEST_WORD) return this.last[row];
    const { thresholds, vocab } = this;
    const first = row * vocab;
    let place = first;
    if (vocab > 64) {
      let high = first + vocab - 1;
      while (place < high) {
        const middle = (place + high) >> 1;
        if (thresholds[middle] <= word) place = middle + 1;
        else high = middle;
      }
    } else while (thresholds[place] <= word) place += 1;
    return place - first;
  }

  fill(row, context, withoutEnd) {
    this.model.logits(context, this.logits);
    const weights = this.shaped(withoutEnd);
    let total = 0;
    for (let c = 0; c < this.vocab; c += 1) weights[c] = total += weights[c];
    const scale = 4294967296 / total; // however the last product is rounded, it is 2^32 at least
    let passed = 0;
    for (let c = 0; c < this.vocab; c += 1) {
      const threshold = Math.ceil(weights[c] * scale);
      passed += threshold <= LARGEST_WORD ? 1 : 0;
      this.thresholds[row * this.vocab + c] = Math.min(threshold, LARGEST_WORD);
    }
    this.last[row] = passed;
  }

  // exp((logit - largest) / temperature) of the symbols that take part, 0 for the others.
  shaped(withoutEnd) {
    const { logits, weights, vocab } = this;
    if (withoutEnd) logits[0] = -Infinity;
    let largest = -Infinity;
    for (let c = 0; c < vocab; c += 1) largest = Math.max(largest, logits[c]);
    if (!Number.isFinite(largest)) throw new Error("the model's logits are not finite");
    if (this.topK < vocab) {
      // Of equal symbols the first ones stay: sorting keeps their order.
      const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);
      for (const c of order.slice(this.topK)) logits[c] = -Infinity;
    }
    for (let c = 0; c < vocab; c += 1) weights[c] = Math.exp((logits[c] - largest) / this.temperature);
    return weights;
  }
}
