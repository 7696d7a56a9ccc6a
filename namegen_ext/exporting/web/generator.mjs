// The generator: draws names, scores them, and tells what would follow.

import { CategoryModel, partsOf, seedOfPart, sharedOut } from "./categories.mjs";
import { Folding, asLearnt, asWritten } from "./folding.mjs";
import { makeModel } from "./models.mjs";
import { DEFAULT_PATIENCE, checkOptions, checkWhole } from "./options.mjs";
import { philoxWords } from "./philox.mjs";
import { Rows } from "./rows.mjs";

const FORMAT = "namegen-model";
const VERSION = 1;
const WORDS_PER_BLOCK = 4;

// What load() reads where it is given nothing: the model of the file that it stands in.
let readEmbedded = null;

export function embedModel(read) {
  readEmbedded = read;
}

// The names found before the search was given up are in `names`.
export class NamesNotFoundError extends Error {
  constructor(message, names) {
    super(message);
    this.name = "NamesNotFoundError";
    this.names = names;
  }
}

export class Generator {
  constructor(document) {
    if (document?.format !== FORMAT) throw new Error(`the document's format must be ${FORMAT}, but is ${document?.format}`);
    if (document.version !== VERSION) {
      throw new Error(`the document's version must be ${VERSION}, but is ${document.version}: it needs another reader`);
    }
    this.about = document.about;
    this.symbols = document.symbols;
    this.maxLength = document.max_length;
    this.list = document.list;
    this.vocab = this.symbols.length + 1;
    this.categories = document.categories;
    const marks = this.categories?.length ?? 0;
    const model = makeModel(document.model, this.vocab + marks);
    const ofCategory = (_, number) => new CategoryModel(model, this.vocab + number, this.vocab);
    this.models = marks > 0 ? this.categories.map(ofCategory) : [model];
    this.numbers = new Map(this.symbols.map((symbol, i) => [symbol, i + 1]));
    this.folding = new Folding(this.list.folded, this.symbols);
    this.known = this.list.names === null ? null : new Set(this.list.names);
    this.shapes = new Map(); // the rows of the temperatures asked for last
  }

  // Loads the model of this file, or a document: an object, or its JSON.
  static async load(source) {
    if (source === undefined && readEmbedded === null) {
      throw new Error("source must be given: this file has no model in it");
    }
    if (source === undefined) return new Generator(readEmbedded());
    return new Generator(typeof source === "string" ? JSON.parse(source) : source);
  }

  // Draws n names as an array. Throws NamesNotFoundError where there are not so many.
  sample(n, options = {}) {
    checkWhole("n", n, 0, Number.MAX_SAFE_INTEGER);
    const names = [];
    if (n === 0) return names;
    const drawing = this.names(options);
    try {
      for (const name of drawing) if (names.push(name) === n) break;
    } catch (error) {
      if (error instanceof NamesNotFoundError) error.names = names;
      throw error;
    }
    return names;
  }

  [Symbol.iterator]() {
    return this.names();
  }

  // Draws names without end, one after another.
  *names(options = {}) {
    const { patience } = options;
    let leftOut = 0;
    for (const name of this.attempts(options)) {
      leftOut = name === null ? leftOut + 1 : 0;
      if (name !== null) yield name;
      else if (leftOut >= (patience ?? DEFAULT_PATIENCE)) {
        const message = `gave up: the last ${leftOut} names drawn were not as asked for; ask for fewer names or for less`;
        throw new NamesNotFoundError(message, []);
      }
    }
  }

  // The same without patience: null in place of each name that is not as asked for.
  *attempts(options = {}) {
    const checked = checkOptions(options, {
      symbols: this.symbols, maxLength: this.maxLength, hasNames: this.known !== null, categories: this.categories,
    });
    const { symbols: prefix, text } = this.encoded("prefix", checked.prefix);
    if (prefix.length >= this.maxLength) {
      throw new RangeError(`prefix must be shorter than ${this.maxLength} letters, but has ${prefix.length}`);
    }
    const wants = this.filter(checked);
    const drawOne = this.drawing(checked, prefix, text);
    const seen = checked.unique ? new Set() : null;
    for (let place = 0; ; place += 1) {
      const name = drawOne(place);
      const isWanted = name !== null && wants(name) && !seen?.has(name);
      if (isWanted) seen?.add(name);
      yield isWanted ? asWritten(name, this.list) : null;
    }
  }

  // How likely a name is: { name, nll, nllPerCharacter, letters: [{ letter, nll }], novel }, in nats. The last letter is
  // "", the end of the name. A letter that the model does not know makes nll infinite. A category, or shares of several,
  // is what is known of the name before its letters; without, it may be of any.
  score(name, { category } = {}) {
    const learnt = [...asLearnt(name, this.list)];
    const letters = [];
    let beliefs = this.beliefs(category);
    for (const letter of [...learnt, ""]) {
      const symbol = letter === "" ? 0 : this.numbers.get(letter);
      if (beliefs === null || symbol === undefined) {
        letters.push({ letter, nll: Infinity });
        beliefs = null; // behind an unknown letter nothing is known
        continue;
      }
      letters.push({ letter, nll: -Math.log(this.probabilities(beliefs, 1)[symbol]) });
      beliefs = this.believe(beliefs, symbol);
    }
    const nll = letters.reduce((sum, letter) => sum + letter.nll, 0);
    const novel = this.known === null ? null : !this.known.has(this.folding.fold(learnt.join("")));
    return { name, nll, nllPerCharacter: nll / letters.length, letters, novel };
  }

  // What may follow a beginning: [{ letter, probability }], the likeliest first; "" is the end of the name.
  next(prefix = "", { temperature = 1, category } = {}) {
    const { temperature: checked } = checkOptions({ temperature }, this);
    const { symbols } = this.encoded("prefix", prefix);
    const beliefs = symbols.reduce((known, symbol) => this.believe(known, symbol), this.beliefs(category));
    const found = Array.from(this.probabilities(beliefs, checked), (probability, symbol) => ({
      letter: symbol === 0 ? "" : this.symbols[symbol - 1],
      probability,
    }));
    return found.sort((a, b) => b.probability - a.probability);
  }

  // What is known behind the start of a name: the context of each category, and how likely the name is of it.
  beliefs(category) {
    return partsOf(category, this.categories).map(({ number, share }) => {
      const model = this.models[number];
      return { model, context: model.start(), share };
    });
  }

  // The same behind one more symbol, by Bayes' rule.
  believe(beliefs, symbol) {
    const joint = beliefs.map(({ model, context, share }) => share * this.softmax(model, context, 1)[symbol]);
    const total = joint.reduce((sum, value) => sum + value, 0);
    return beliefs.map(({ model, context, share }, i) => ({
      model, context: model.append(context, symbol), share: total > 0 ? joint[i] / total : share,
    }));
  }

  probabilities(beliefs, temperature) {
    const sums = new Float64Array(this.vocab);
    for (const { model, context, share } of beliefs) {
      this.softmax(model, context, temperature).forEach((probability, symbol) => {
        sums[symbol] += share * probability;
      });
    }
    return sums;
  }

  softmax(model, context, temperature) {
    const logits = new Float64Array(this.vocab);
    model.logits(context, logits);
    const largest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
    const weights = logits.map((logit) => Math.exp((logit - largest) / temperature));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return weights.map((weight) => weight / total);
  }

  encoded(option, value) {
    const learnt = asLearnt(value, this.list);
    const isKnown = (letter) => this.numbers.has(letter);
    const known = [learnt, learnt.normalize("NFC"), learnt.normalize("NFD")].find((text) => [...text].every(isKnown));
    if (known === undefined) {
      const unknown = [...learnt].filter((letter) => !isKnown(letter)).join("");
      throw new RangeError(`${option} must be of letters that the model knows, but has ${JSON.stringify(unknown)}`);
    }
    return { symbols: [...known].map((letter) => this.numbers.get(letter)), text: known };
  }

  filter({ minLength, maxLength, suffix, without, novel }) {
    const tests = [];
    if (minLength > 1) tests.push((name) => lettersIn(name) >= minLength);
    if (maxLength < this.maxLength) tests.push((name) => lettersIn(name) <= maxLength);
    const ending = this.encoded("suffix", suffix).text;
    if (ending !== "") tests.push((name) => name.endsWith(ending));
    const unwanted = new Set(asLearnt(without, this.list));
    if (unwanted.size > 0) tests.push((name) => ![...name].some((letter) => unwanted.has(letter)));
    if (novel) tests.push((name) => !this.known.has(this.folding.fold(name)));
    return (name) => tests.every((test) => test(name));
  }

  rowsFor(number, { temperature, topK }) {
    const shape = `${temperature} ${topK}`;
    if (this.shapes.get(shape) === undefined && this.shapes.size > 1) this.shapes.delete(this.shapes.keys().next().value);
    const rows = this.shapes.get(shape) ?? new Map();
    this.shapes.delete(shape);
    this.shapes.set(shape, rows);
    if (!rows.has(number)) rows.set(number, new Rows(this.models[number], { temperature, topK }));
    return rows.get(number);
  }

  // A function that draws the name at any place of a seed's stream.
  drawing(checked, prefix, text) {
    const share = sharedOut(checked.parts, checked.seed);
    const draws = checked.parts.map(({ number }, part) =>
      this.drawingOf(number, { ...checked, seed: seedOfPart(checked.seed, part) }, prefix, text),
    );
    return (place) => {
      const own = share(place);
      return draws[own.part](own.place);
    };
  }

  drawingOf(number, checked, prefix, text) {
    const rows = this.rowsFor(number, checked);
    const { symbols, models: { [number]: model } } = this;
    const seedLow = Number(checked.seed & 0xffffffffn);
    const seedHigh = Number(checked.seed >> 32n);
    const mostSteps = this.maxLength - prefix.length;
    const start = prefix.reduce((context, symbol) => model.append(context, symbol), model.start());
    const words = new Uint32Array(WORDS_PER_BLOCK);
    return (place) => {
      let row = rows.rowOf(start, prefix.length === 0);
      let name = text;
      for (let step = 0; step < mostSteps; step += 1) {
        const turn = step % WORDS_PER_BLOCK;
        if (turn === 0) {
          philoxWords(seedLow, seedHigh, place >>> 0, Math.floor(place / 4294967296), step / WORDS_PER_BLOCK, words);
        }
        const symbol = rows.draw(row, words[turn]);
        if (symbol === 0) return name;
        name += symbols[symbol - 1];
        if (step + 1 < mostSteps) row = rows.follow(row, symbol);
      }
      return null; // it did not end by itself, so it is left out
    };
  }
}

function lettersIn(name) {
  let count = 0;
  for (const _ of name) count += 1;
  return count;
}
