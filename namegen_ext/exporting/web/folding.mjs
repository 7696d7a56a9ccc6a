// How names are compared, read and written.

// Names as they are compared: whatever their case, and however their accents are written.
export class Folding {
  constructor(folded, symbols) {
    this.folded = new Map(Object.entries(folded));
    this.changesNothing = this.folded.size === 0 && symbols.every((symbol) => symbol < "\u0080");
  }

  fold(name) {
    if (this.changesNothing) return name;
    let text = "";
    for (const letter of name) text += this.folded.get(letter) ?? letter;
    return text.normalize("NFD");
  }
}

// A text in the form in which names are learnt.
export function asLearnt(text, { case: letterCase, normalize }) {
  const normal = (part) => (normalize === "none" ? part : part.normalize(normalize.toUpperCase()));
  return letterCase === "keep" ? normal(text) : normal(normal(text).toLowerCase());
}

// A letter at the start, behind white space, a dash, a full stop, a slash, an opening bracket or quotation mark; and
// behind an apostrophe where two more letters follow: "D'Angelo", but "Land's End".
const INITIAL = /(?:^|(?<=[\s\-\u2010-\u2015./([&,"\u201c\u00ab]))[\p{L}\p{N}_]|(?<=['\u2019])[\p{L}\p{N}_](?=[\p{L}\p{N}_]{2})/gu;

// A drawn name in the form in which names are written.
export function asWritten(name, { case: letterCase, titled }) {
  if (letterCase !== "title") return name;
  return name.replace(INITIAL, (letter) => (Object.hasOwn(titled, letter) ? titled[letter] : letter));
}
