// Counting models: a tree of the contexts that occurred, with how often each symbol followed.
//
// Nodes stand breadth first. The children of a node are the contexts that are one symbol longer at their old end. All
// estimators have one form, P(c | h) = gain(h, c) + backoff(h) P(c | h'), where h' is h without its oldest symbol, and
// what the empty context leaves is spread evenly.

import { Windows } from "./context.mjs";
import { arrayOf } from "./tensors.mjs";

const LOG_OF_ZERO = -1e4; // exp(-10,000) is 0

export class CountModel extends Windows {
  constructor(document, vocab) {
    super(vocab, document.block_size);
    this.categoryNewest = document.category_newest;
    this.oldest = arrayOf(document.oldest_symbol); // (nodes)
    this.firstChild = runs(arrayOf(document.num_children), 1); // (nodes + 1)
    this.firstPair = runs(arrayOf(document.num_pairs), 0); // (nodes + 1)
    this.pairSymbol = arrayOf(document.pair_symbol); // (pairs)
    this.smooth(document, arrayOf(document.pair_count));
  }

  smooth(document, count) {
    const nodes = this.oldest.length;
    this.gain = new Float64Array(count.length);
    this.backoff = new Float64Array(nodes).fill(1);
    const depth = new Uint32Array(nodes);
    for (let node = 0; node < nodes; node += 1) {
      for (let c = this.firstChild[node]; c < this.firstChild[node + 1]; c += 1) depth[c] = depth[node] + 1;
      const begin = this.firstPair[node];
      const end = this.firstPair[node + 1];
      let total = 0;
      for (let p = begin; p < end; p += 1) total += count[p];
      const estimate = this.estimate(document, total, depth[node], count.subarray(begin, end));
      if (estimate === null) continue;
      for (let p = begin; p < end; p += 1) this.gain[p] = (count[p] - estimate.discount(count[p])) / estimate.seen;
      this.backoff[node] = estimate.left / estimate.seen;
    }
  }

  // What is taken off the counts of a node, what is left for shorter contexts, and the divisor; null passes all on.
  estimate(document, total, depth, counts) {
    const none = (count) => 0;
    if (document.estimator === "add-k") {
      const left = document.smoothing * this.vocab;
      return depth < this.block || total + left === 0 ? null : { seen: total + left, left, discount: none };
    }
    if (total === 0) return null;
    if (document.estimator === "witten-bell") {
      return { seen: total + counts.length, left: counts.length, discount: none };
    }
    const discounts = document.discounts[depth];
    const discount = (count) => (count === 0 ? 0 : discounts[Math.min(count, 3) - 1]);
    let left = document.concentrations[depth];
    const seen = total + left;
    for (const count of counts) left += discount(count);
    return { seen, left, discount };
  }

  // The mark of a category may count as the newest symbol, so that each category has counts at every length of context.
  markedStart(mark) {
    const context = super.markedStart(mark);
    return this.categoryNewest ? [...context.slice(1), mark] : context;
  }

  markedAppend(context, symbol, mark) {
    if (!this.categoryNewest) return super.markedAppend(context, symbol, mark);
    return [...context.slice(1, -1), symbol, mark];
  }

  child(node, symbol) {
    let low = this.firstChild[node];
    let high = this.firstChild[node + 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.oldest[middle] < symbol) low = middle + 1;
      else high = middle;
    }
    return low < this.firstChild[node + 1] && this.oldest[low] === symbol ? low : -1;
  }

  logits(context, out) {
    const path = [0];
    for (let age = 1; age <= this.block; age += 1) {
      const node = this.child(path[path.length - 1], context[this.block - age]);
      if (node < 0) break;
      path.push(node);
    }
    out.fill(path.reduce((left, node) => left * this.backoff[node], 1) / this.vocab);
    let left = 1;
    for (let i = path.length - 1; i >= 0; i -= 1) {
      const node = path[i];
      for (let p = this.firstPair[node]; p < this.firstPair[node + 1]; p += 1) {
        out[this.pairSymbol[p]] += left * this.gain[p];
      }
      left *= this.backoff[node];
    }
    for (let c = 0; c < this.vocab; c += 1) out[c] = out[c] > 0 ? Math.log(out[c]) : LOG_OF_ZERO;
  }
}

// Where each of neighbouring runs begins, from how long they are; and where the last one ends.
export function runs(lengths, first) {
  const begins = new Uint32Array(lengths.length + 1);
  begins[0] = first;
  for (let i = 0; i < lengths.length; i += 1) begins[i + 1] = begins[i] + lengths[i];
  return begins;
}
