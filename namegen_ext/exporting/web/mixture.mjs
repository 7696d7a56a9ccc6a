// Mixtures: the logits of several models, each times its weight, added up; and the names of a list made rarer.
//
// The names of the list are a tree. Its nodes stand breadth first, and the node of what a name begins with gives the
// logits of its children's symbols an adjustment. A context is { window, node }; node is -1 where no name of the list
// begins so.

import { runs } from "./counts.mjs";
import { arrayOf } from "./tensors.mjs";

export class MixtureModel {
  constructor(document, vocab, makeModel) {
    this.vocab = vocab;
    this.parts = document.components.map(({ weight, model }) => ({ weight, model: makeModel(model, vocab) }));
    this.firstChild = runs(arrayOf(document.known_names.num_children), 1); // (nodes + 1)
    this.symbol = arrayOf(document.known_names.symbol); // (nodes - 1): of nodes 1, 2, ...
    this.adjustment = arrayOf(document.known_names.adjustment); // (nodes - 1)
    this.found = new Float64Array(vocab);
  }

  start() {
    return { contexts: this.parts.map(({ model }) => model.start()), node: 0 };
  }

  append({ contexts, node }, symbol) {
    return { contexts: this.parts.map(({ model }, i) => model.append(contexts[i], symbol)), node: this.child(node, symbol) };
  }

  // With the mark of a category. The names of the list then begin with their marks.
  markedStart(mark) {
    return { contexts: this.parts.map(({ model }) => model.markedStart(mark)), node: this.child(0, mark) };
  }

  markedAppend({ contexts, node }, symbol, mark) {
    const next = this.parts.map(({ model }, i) => model.markedAppend(contexts[i], symbol, mark));
    return { contexts: next, node: this.child(node, symbol) };
  }

  child(node, symbol) {
    if (node < 0) return -1;
    for (let c = this.firstChild[node]; c < this.firstChild[node + 1]; c += 1) {
      if (this.symbol[c - 1] === symbol) return c;
    }
    return -1;
  }

  key({ contexts, node }) {
    return `${node},${this.parts.map(({ model }, i) => model.key(contexts[i])).join("")}`;
  }

  logits({ contexts, node }, out) {
    out.fill(0);
    this.parts.forEach(({ weight, model }, i) => {
      model.logits(contexts[i], this.found);
      for (let c = 0; c < this.vocab; c += 1) out[c] += weight * this.found[c];
    });
    if (node < 0) return;
    for (let c = this.firstChild[node]; c < this.firstChild[node + 1]; c += 1) {
      out[this.symbol[c - 1]] += this.adjustment[c - 1];
    }
  }
}
