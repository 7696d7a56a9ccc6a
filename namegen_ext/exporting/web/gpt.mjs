// The GPT: a decoder of causal self-attention, in float64. A context is a chain of tokens from the start of the name, each
// of which keeps the keys and values of its position. Once a name is longer than the block, the positions of all its
// symbols move with each new one, and the whole window is computed anew.

import { numbersOf } from "./tensors.mjs";

class Affine {
  constructor(document) {
    this.weight = numbersOf(document.weight); // (out, in); of a layer norm (E)
    this.bias = numbersOf(document.bias);
  }

  times(input) {
    return product(this.weight, input, Float64Array.from(this.bias));
  }

  normalized(x, eps) {
    const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
    const scale = 1 / Math.sqrt(variance + eps);
    return x.map((value, i) => (value - mean) * scale * this.weight[i] + this.bias[i]);
  }
}

// Adds weight (out, in) times input (in) to sums (out).
function product(weight, input, sums) {
  const depth = input.length;
  for (let o = 0; o < sums.length; o += 1) {
    let sum = 0;
    for (let i = 0; i < depth; i += 1) sum += weight[o * depth + i] * input[i];
    sums[o] += sum;
  }
  return sums;
}

// The error function of x >= 0: its series of terms that are all positive, and from 3 on a continued fraction.
function errorFunction(x) {
  if (x > 6) return 1;
  if (x < 3) {
    let term = x;
    let sum = x;
    for (let n = 1; term > sum * 1e-17; n += 1) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = x;
  for (let n = 40; n >= 1; n -= 1) fraction = x + n / 2 / fraction;
  return 1 - Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction);
}

export function gelu(x) {
  const share = errorFunction(Math.abs(x) / Math.SQRT2);
  return 0.5 * x * (1 + (x < 0 ? -share : share));
}

export class GptModel {
  constructor(document, vocab) {
    this.vocab = vocab;
    this.block = document.block_size;
    this.heads = document.num_heads;
    this.eps = document.layer_norm_eps;
    this.dim = document.token_embedding.shape[1];
    this.tokens = numbersOf(document.token_embedding); // (V, E)
    this.positions = numbersOf(document.position_embedding); // (block, E)
    this.layers = document.layers.map((layer) => {
      const parts = Object.entries(layer).map(([name, part]) => [name, new Affine(part)]);
      return Object.fromEntries(parts);
    });
    this.norm = new Affine(document.norm);
    this.head = numbersOf(document.head); // (V, E)
    this.contextBytes = 8 * (2 * this.layers.length + 1) * this.dim;
  }

  start() {
    return { symbols: [0], before: null, state: null };
  }

  append(context, symbol) {
    const isFull = context.symbols.length === this.block;
    const symbols = [...(isFull ? context.symbols.slice(1) : context.symbols), symbol];
    return { symbols, before: isFull ? null : context, state: null };
  }

  key({ symbols }) {
    return String.fromCharCode(...symbols);
  }

  logits(context, out) {
    const chain = this.chainOf(context);
    chain.forEach((link, position) => {
      if (link.state === null) link.state = this.step(chain, position);
    });
    out.fill(0);
    product(this.head, this.norm.normalized(context.state.hidden, this.eps), out);
  }

  // The contexts from the start of the window to this one.
  chainOf(context) {
    const { symbols } = context;
    const chain = [];
    for (let link = context; link !== null; link = link.before) chain.unshift(link);
    const missing = symbols.length - chain.length; // of a window that has moved, all but the last ones
    const begun = symbols.slice(0, missing).map((symbol, i) => ({ symbols: symbols.slice(0, i + 1), state: null }));
    return [...begun, ...chain];
  }

  // Computes the keys and values (layers, E) of one position, and what leaves the last layer.
  step(chain, position) {
    const symbol = chain[position].symbols.at(-1);
    const { dim } = this;
    const keys = [];
    const values = [];
    let x = new Float64Array(dim); // (E)
    for (let i = 0; i < dim; i += 1) x[i] = this.tokens[symbol * dim + i] + this.positions[position * dim + i];
    this.layers.forEach((layer, number) => {
      const projected = layer.projections.times(layer.norm_1.normalized(x, this.eps)); // (3 E): query, key, value
      keys.push(projected.slice(dim, 2 * dim));
      values.push(projected.slice(2 * dim));
      const allKeys = [...chain.slice(0, position).map(({ state }) => state.keys[number]), keys[number]];
      const allValues = [...chain.slice(0, position).map(({ state }) => state.values[number]), values[number]];
      const mixed = layer.output.times(this.attend(projected, allKeys, allValues));
      x = x.map((value, i) => value + mixed[i]);
      const hidden = layer.hidden.times(layer.norm_2.normalized(x, this.eps)).map(gelu); // (4 E)
      const back = layer.back.times(hidden);
      x = x.map((value, i) => value + back[i]);
    });
    return { keys, values, hidden: x };
  }

  attend(query, keys, values) {
    const size = this.dim / this.heads;
    const mixed = new Float64Array(this.dim);
    for (let first = 0; first < this.dim; first += size) {
      const scores = keys.map((key) => {
        let sum = 0;
        for (let i = first; i < first + size; i += 1) sum += query[i] * key[i];
        return sum / Math.sqrt(size);
      });
      const largest = Math.max(...scores);
      const shares = scores.map((score) => Math.exp(score - largest));
      const total = shares.reduce((sum, share) => sum + share, 0);
      values.forEach((value, position) => {
        for (let i = first; i < first + size; i += 1) mixed[i] += (shares[position] / total) * value[i];
      });
    }
    return mixed;
  }
}
