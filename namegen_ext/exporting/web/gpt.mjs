// The GPT: a decoder of causal self-attention, in float64. A context is a chain of tokens from the start of the name, each
// of which keeps the keys and values of its position. Once a name is longer than the block, the positions of all its
// symbols move with each new one, and the whole window is computed anew.

import { addProduct } from "./products.mjs";
import { numbersOf } from "./tensors.mjs";

class Affine {
  constructor(document) {
    this.weight = numbersOf(document.weight); // (out, in)
    this.out = document.weight.shape[0];
    this.bias = document.bias ? numbersOf(document.bias) : new Float64Array(this.out);
  }

  times(input) {
    return product(this.weight, input, Float64Array.from(this.bias));
  }
}

// A layer norm, or an RMS norm, which neither subtracts the mean nor has a weight; either may lack a bias.
class Norm {
  constructor(document, isRms, eps) {
    this.weight = document.weight ? numbersOf(document.weight) : null; // (E)
    this.bias = document.bias ? numbersOf(document.bias) : null; // (E)
    this.isRms = isRms;
    this.eps = eps;
  }

  of(x) {
    const size = x.length;
    let mean = 0;
    if (!this.isRms) for (let i = 0; i < size; i += 1) mean += x[i] / size;
    let square = 0;
    for (let i = 0; i < size; i += 1) square += (x[i] - mean) ** 2 / size;
    const scale = 1 / Math.sqrt(square + this.eps);
    const normal = new Float64Array(size);
    for (let i = 0; i < size; i += 1) normal[i] = (x[i] - mean) * scale;
    if (this.weight !== null) for (let i = 0; i < size; i += 1) normal[i] *= this.weight[i];
    if (this.bias !== null) for (let i = 0; i < size; i += 1) normal[i] += this.bias[i];
    return normal;
  }
}

// Adds weight (out, in) times input (in) to sums (out).
function product(weight, input, sums) {
  addProduct(weight, 0, input.length, input, sums);
  return sums;
}

// The error function by its Taylor series around the nearest of these centres: erf' = g with g(x) = 2 / sqrt(pi) exp(-x^2),
// and g' = -2 x g gives each term of g from the two before. Behind 6 it is 1 in float64.
const ERF_STEP = 1 / 8;
const ERF_TERMS = 13;
const ERF_END = 6;
let erfTable = null;

function makeErfTable() {
  const table = new Float64Array((ERF_END / ERF_STEP + 1) * ERF_TERMS);
  for (let place = 0; place <= ERF_END / ERF_STEP; place += 1) {
    const x = place * ERF_STEP;
    table[place * ERF_TERMS] = erfOfSeries(x);
    let before = 0;
    let term = (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x); // of h^n in g(x + h)
    for (let n = 0; n + 1 < ERF_TERMS; n += 1) {
      table[place * ERF_TERMS + n + 1] = term / (n + 1);
      [before, term] = [term, (-2 * (x * term + before)) / (n + 1)];
    }
  }
  return table;
}

// The error function of x >= 0: its series of terms that are all positive, and from 3 on a continued fraction.
function erfOfSeries(x) {
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

function errorFunction(x) {
  if (!(x < ERF_END)) return 1;
  erfTable ??= makeErfTable();
  const place = Math.round(x / ERF_STEP);
  const h = x - place * ERF_STEP;
  let sum = 0;
  for (let n = ERF_TERMS - 1; n >= 0; n -= 1) sum = sum * h + erfTable[place * ERF_TERMS + n];
  return sum;
}

export function gelu(x) {
  const share = errorFunction(Math.abs(x) / Math.SQRT2);
  return 0.5 * x * (1 + (x < 0 ? -share : share));
}

const ACTIVATIONS = {
  gelu,
  "gelu-tanh": (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  relu: (x) => Math.max(x, 0),
};

function addTo(x, other) {
  for (let i = 0; i < x.length; i += 1) x[i] += other[i];
}

export class GptModel {
  constructor(document, vocab) {
    this.vocab = vocab;
    this.block = document.block_size;
    this.heads = document.num_heads;
    this.dim = document.token_embedding.shape[1];
    this.tokens = numbersOf(document.token_embedding); // (V, E)
    this.positions = numbersOf(document.position_embedding); // (block, E)
    const norm = (part) => (part === null ? null : new Norm(part, document.norm_kind === "rms", document.norm_eps));
    this.embeddingNorm = norm(document.embedding_norm);
    this.layers = document.layers.map((layer) => ({
      norm1: norm(layer.norm_1),
      projections: new Affine(layer.projections),
      output: new Affine(layer.output),
      norm2: norm(layer.norm_2),
      hidden: new Affine(layer.hidden),
      back: new Affine(layer.back),
    }));
    this.norm = norm(document.norm);
    this.head = numbersOf(document.head); // (V, E)
    this.activation = ACTIVATIONS[document.activation];
    this.contextBytes = 8 * (3 * this.layers.length + 1) * this.dim;
  }

  start() {
    return { symbols: [0], before: null, state: null };
  }

  append(context, symbol) {
    const isFull = context.symbols.length === this.block;
    const symbols = [...(isFull ? context.symbols.slice(1) : context.symbols), symbol];
    return { symbols, before: isFull ? null : context, state: null };
  }

  markedStart(mark) {
    return this.append(this.start(), mark);
  }

  markedAppend(context, symbol, mark) {
    const next = this.append(context, symbol);
    if (next.before !== null || context.symbols[0] !== mark) return next;
    next.symbols[0] = mark; // where the oldest letter was
    return next;
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
    const { hidden } = context.state;
    product(this.head, this.norm === null ? hidden : this.norm.of(hidden), out);
  }

  // The contexts from the start of the window to this one.
  chainOf(context) {
    const { symbols } = context;
    const chain = [];
    for (let link = context; link !== null; link = link.before) chain.push(link);
    chain.reverse();
    const missing = symbols.length - chain.length; // of a window that has moved, all but the last ones
    const begun = symbols.slice(0, missing).map((symbol, i) => ({ symbols: symbols.slice(0, i + 1), state: null }));
    return [...begun, ...chain];
  }

  // Computes the keys and values (E) of one position in each layer, and what leaves the last layer.
  step(chain, position) {
    const symbol = chain[position].symbols.at(-1);
    const { dim, activation } = this;
    const state = { projected: [], hidden: null };
    let x = new Float64Array(dim); // (E)
    for (let i = 0; i < dim; i += 1) x[i] = this.tokens[symbol * dim + i] + this.positions[position * dim + i];
    if (this.embeddingNorm !== null) x = this.embeddingNorm.of(x);
    this.layers.forEach((layer, number) => {
      const projected = layer.projections.times(layer.norm1.of(x)); // (3 E): query, key, value
      state.projected.push(projected);
      const rows = [];
      for (let place = 0; place < position; place += 1) rows.push(chain[place].state.projected[number]);
      rows.push(projected);
      addTo(x, layer.output.times(this.attend(rows)));
      const hidden = layer.hidden.times(layer.norm2.of(x)); // (4 E)
      for (let i = 0; i < hidden.length; i += 1) hidden[i] = activation(hidden[i]);
      addTo(x, layer.back.times(hidden));
    });
    state.hidden = x;
    return state;
  }

  // Attends from the last of rows (3 E), each a query, a key and a value, to all of them: (E).
  attend(rows) {
    const { dim } = this;
    const size = dim / this.heads;
    const query = rows[rows.length - 1];
    const mixed = new Float64Array(dim);
    const shares = new Float64Array(rows.length);
    for (let first = 0; first < dim; first += size) {
      let largest = -Infinity;
      for (let place = 0; place < rows.length; place += 1) {
        const row = rows[place];
        let sum = 0;
        for (let i = first; i < first + size; i += 1) sum += query[i] * row[dim + i];
        shares[place] = sum / Math.sqrt(size);
        largest = Math.max(largest, shares[place]);
      }
      let total = 0;
      for (let place = 0; place < rows.length; place += 1) total += shares[place] = Math.exp(shares[place] - largest);
      for (let place = 0; place < rows.length; place += 1) {
        const row = rows[place];
        const share = shares[place] / total;
        for (let i = first; i < first + size; i += 1) mixed[i] += share * row[2 * dim + i];
      }
    }
    return mixed;
  }
}
