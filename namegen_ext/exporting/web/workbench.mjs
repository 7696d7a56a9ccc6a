// Looks at a typed name: how surprising each letter is, and what would follow it.

import { visible } from "./names_list.mjs";

const MOST_FOLLOWERS = 8;
const TALLEST_NLL = 7; // nats: one in 1,100
const SURPRISING_NLL = 4; // one in 55

export function percent(probability) {
  if (probability >= 0.995) return "~100%";
  if (probability >= 0.1) return `${Math.round(100 * probability)}%`;
  if (probability >= 0.001) return `${(100 * probability).toFixed(1)}%`;
  return "<0.1%";
}

export function letterItem({ letter, nll }) {
  const item = document.createElement("li");
  const share = document.createElement("span");
  const bar = document.createElement("div");
  const text = document.createElement("span");
  share.textContent = Number.isFinite(nll) ? percent(Math.exp(-nll)) : "never";
  bar.className = nll > SURPRISING_NLL ? "bar surprising" : "bar";
  bar.style.setProperty("--share", Math.min(nll / TALLEST_NLL, 1));
  text.className = letter === "" ? "letter end" : "letter";
  text.textContent = letter === "" ? "end" : letter === " " ? "\u2423" : visible(letter);
  item.append(share, bar, text);
  return item;
}

export function verdictText({ nll, nllPerCharacter, letters, novel }) {
  const unknown = letters.find(({ nll: own }) => !Number.isFinite(own));
  if (unknown !== undefined) return `The model has never seen \u201c${visible(unknown.letter)}\u201d in its list.`;
  const odds = Math.exp(nll);
  const often = odds < 1e6 ? Math.max(1, Math.round(odds)).toLocaleString("en") : odds.toExponential(1).replace("e+", " \u00d7 10^");
  const where = novel === null ? "" : novel ? " It is not in the list." : " It is in the list.";
  return `About one of ${often} names is this one: ${nll.toFixed(2)} nats, ${nllPerCharacter.toFixed(2)} a letter.${where}`;
}

export function followers(generator, beginning, options) {
  return generator.next(beginning, options).slice(0, MOST_FOLLOWERS);
}

export function followerItem({ letter, probability }, onPick) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const text = document.createElement("bdi");
  const share = document.createElement("span");
  button.type = "button";
  button.style.setProperty("--share", probability);
  text.textContent = letter === "" ? "the end" : letter === " " ? "space" : visible(letter);
  share.textContent = percent(probability);
  button.append(text, share);
  button.addEventListener("click", () => onPick(letter));
  item.append(button);
  return item;
}
