// The types of names.mjs, as `namegen export --to js` writes it.

export type Category = string | Record<string, number>;

export interface SampleOptions {
  /** 0 to 2**64 - 1; the same seed draws the same names, here and in Python. A new one each time where it is left out. */
  seed?: number | bigint | string;
  /** Below 1 the names become likelier, above 1 more varied. 1 where it is left out. */
  temperature?: number;
  /** Draw each letter among so many likeliest only. */
  topK?: number;
  /** What each name begins with. */
  prefix?: string;
  /**
   * The fewest letters. This and the next three are met by leaving out other names: the distribution is that of Python,
   * the names of a seed are others.
   */
  minLength?: number;
  /** The most letters. */
  maxLength?: number;
  /** What each name ends with. */
  suffix?: string;
  /** Letters that must not occur. */
  without?: string;
  /** Leave out the names of the list that the model has learnt. */
  novel?: boolean;
  /** Leave out repeats. */
  unique?: boolean;
  /**
   * Of a list with categories: one of them, or the shares of several, which sum to 1: `{ elf: 0.7, dwarf: 0.3 }`. All, each
   * by its share of the list, where it is left out.
   */
  category?: Category;
  /** Give up once so many names in a row were not as asked for. 100,000 where it is left out. */
  patience?: number;
}

export interface Letter {
  /** One letter; "" for the end of the name. */
  letter: string;
  /** -log of its probability behind the letters before it, in nats; Infinity for a letter that the model does not know. */
  nll: number;
}

export interface Score {
  name: string;
  /** The sum over all letters and the end, in nats. */
  nll: number;
  nllPerCharacter: number;
  letters: Letter[];
  /** Whether it is no name of the list; null where the file leaves the list out. */
  novel: boolean | null;
}

export interface Next {
  /** One letter; "" for the end of the name. */
  letter: string;
  probability: number;
}

export interface About {
  created_by: string;
  model: string;
  recipe: string;
  parameters: number;
  steps: number;
  data: string;
  source: string;
  num_names: number;
  /** In nats per character; null where one is not known. */
  losses: { train: number | null; dev: number | null; test: number | null };
}

/** Thrown where not so many names as asked for were found; `names` holds those that were. */
export class NamesNotFoundError extends Error {
  names: string[];
}

export class Generator implements Iterable<string> {
  /** Loads the model of the module; or a document that `namegen export --to json` wrote, as an object or as its text. */
  static load(source?: object | string): Promise<Generator>;
  /** How the model was trained. */
  readonly about: About;
  /** The letters that it knows. */
  readonly symbols: string[];
  /** The most letters of a name. */
  readonly maxLength: number;
  /** The categories of its list, and the share of each; null for a list without categories. */
  readonly categories: { name: string; share: number }[] | null;
  /** Draws n names. */
  sample(n: number, options?: SampleOptions): string[];
  /** Draws names without end. */
  names(options?: SampleOptions): IterableIterator<string>;
  [Symbol.iterator](): IterableIterator<string>;
  /** Tells how likely a name is, letter by letter. */
  score(name: string, options?: { category?: Category }): Score;
  /** Tells what may follow a beginning, the likeliest first. */
  next(prefix?: string, options?: { temperature?: number; category?: Category }): Next[];
}

export default Generator;
