// Contexts of the models that look at the last symbols: an array of `block` symbols, the oldest first, zeros before the
// start of a name.
//
// Every model has the same four methods:
//   start()                  the context of a name's start
//   append(context, symbol)  the context behind one more symbol; contexts are never changed
//   key(context)             a string that contexts share where the same follows them
//   logits(context, out)     writes the logits of the next symbol to out, a Float64Array of as many as there are symbols

export class Windows {
  constructor(vocab, block) {
    this.vocab = vocab;
    this.block = block;
  }

  start() {
    return new Array(this.block).fill(0);
  }

  append(context, symbol) {
    const next = context.slice(1);
    next.push(symbol);
    return next;
  }

  // With the mark of a category, which stays at the oldest place.
  markedStart(mark) {
    const context = this.start();
    context[0] = mark;
    return context;
  }

  markedAppend(context, symbol, mark) {
    const next = this.append(context, symbol);
    next[0] = mark;
    return next;
  }

  key(context) {
    return String.fromCharCode(...context); // symbols are below 65,536
  }
}
