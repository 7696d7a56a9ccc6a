// Networks: an embedding, then levels of linear layers with or without a tanh, in float64.
//
// A level that joins `factor` neighbouring positions adds up one product for each position, and that of a position goes
// with the few symbols it stands for. These products are kept, so that a context shares what it has in common with those
// before it.

import { Windows } from "./context.mjs";
import { addProduct } from "./products.mjs";
import { arrayOf, numbersOf } from "./tensors.mjs";

const KEPT_PRODUCTS = 1 << 22; // numbers that a level keeps, 32 MB; it begins anew when there are more

class LinearLevel {
  constructor(document, span) {
    this.factor = document.factor;
    this.span = span; // symbols that one position of its input stands for
    this.out = document.weight.shape[0];
    this.in = document.weight.shape[1] / this.factor;
    this.weight = numbersOf(document.weight); // (out, factor * in)
    this.bias = numbersOf(document.bias); // (out)
    this.isTanh = document.activation === "tanh";
    this.kept = Array.from({ length: this.factor }, () => new Map()); // for each position: symbols -> product (out)
    this.output = new Float64Array(this.out);
  }

  // Adds the product of one position's input (in) to sums (out).
  addProductOf(position, input, sums) {
    addProduct(this.weight, position * this.in, this.factor * this.in, input, sums);
  }

  activate(sums) {
    if (this.isTanh) for (let o = 0; o < this.out; o += 1) sums[o] = Math.tanh(sums[o]);
    return sums;
  }
}

export class NetworkModel extends Windows {
  constructor(document, vocab) {
    super(vocab, document.block_size);
    this.dim = document.embedding.shape[1];
    this.embedding = numbersOf(document.embedding); // (V, dim)
    this.levels = [];
    let span = 1;
    for (const level of document.levels) {
      this.levels.push(new LinearLevel(level, span));
      span *= level.factor;
    }
  }

  logits(context, out) {
    const top = this.levels.length - 1;
    out.set(this.output(top, context, 0));
  }

  // What a level gives for the symbols from `first` on: (out).
  output(number, context, first) {
    const level = this.levels[number];
    const sums = level.output;
    sums.set(level.bias);
    const isShared = level.span < this.block; // the input of all others is the whole context
    for (let position = 0; position < level.factor; position += 1) {
      const start = first + position * level.span;
      if (!isShared) {
        level.addProductOf(position, this.input(number, context, start), sums);
        continue;
      }
      const product = this.product(number, position, context, start);
      for (let o = 0; o < level.out; o += 1) sums[o] += product[o];
    }
    return level.activate(sums);
  }

  input(number, context, start) {
    if (number > 0) return this.output(number - 1, context, start);
    const row = context[start] * this.dim;
    return this.embedding.subarray(row, row + this.dim);
  }

  product(number, position, context, start) {
    const level = this.levels[number];
    const kept = level.kept[position];
    const key =
      level.span === 1 ? context[start] : String.fromCharCode(...context.slice(start, start + level.span));
    let product = kept.get(key);
    if (product === undefined) {
      product = new Float64Array(level.out);
      level.addProductOf(position, this.input(number, context, start), product);
      if (kept.size * level.out > KEPT_PRODUCTS) kept.clear();
      kept.set(key, product);
    }
    return product;
  }
}

// A table with the logits of every context.
export class TableModel extends Windows {
  constructor(document, vocab) {
    super(vocab, document.block_size);
    this.table = arrayOf(document.logits); // (V^block, V): a context is a number in base V
  }

  logits(context, out) {
    const row = context.reduce((number, symbol) => number * this.vocab + symbol, 0);
    for (let c = 0; c < this.vocab; c += 1) out[c] = this.table[row * this.vocab + c];
  }
}
