// From the document's model to an object that gives logits; context.mjs says how it is asked.

import { CountModel } from "./counts.mjs";
import { GptModel } from "./gpt.mjs";
import { MixtureModel } from "./mixture.mjs";
import { NetworkModel, TableModel } from "./network.mjs";

const KINDS = { counts: CountModel, gpt: GptModel, mixture: MixtureModel, network: NetworkModel, table: TableModel };

export function makeModel(document, vocab) {
  const Kind = Object.hasOwn(KINDS, document.kind) ? KINDS[document.kind] : null;
  if (Kind === null) throw new Error(`model.kind must be one of ${Object.keys(KINDS)}, but is ${document.kind}`);
  return new Kind(document, vocab, makeModel);
}
