// What is asked for, as it stands in the address behind the "#", in the fields of the form, and as options of the generator.

import { freshSeed } from "./options.mjs";

const TEXTS = ["prefix", "suffix", "without", "category"];
const NUMBERS = ["minLength", "maxLength"];
const FLAGS = ["novel", "unique"];
const FIRST_COUNT = 24;
const MOST_NAMES = 5000;

export function freshWishes() {
  return { seed: String(freshSeed()), count: FIRST_COUNT, temperature: 1 };
}

// Values that cannot be are passed over, as a stranger may have written the address.
export function wishesOfAddress(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const wishes = freshWishes();
  const number = (name, least, most) => {
    const value = Number(given.get(name));
    return given.has(name) && value >= least && value <= most ? value : null;
  };
  if (/^\d{1,20}$/.test(given.get("seed") ?? "")) wishes.seed = given.get("seed");
  wishes.count = Math.round(number("n", 1, MOST_NAMES) ?? FIRST_COUNT);
  wishes.temperature = number("temperature", 0.05, 20) ?? 1;
  for (const name of TEXTS) if (given.get(name)) wishes[name] = given.get(name).slice(0, 200);
  for (const name of NUMBERS) if (number(name, 1, 1e6) !== null) wishes[name] = Math.round(number(name, 1, 1e6));
  for (const name of FLAGS) if (given.get(name) === "1") wishes[name] = true;
  return wishes;
}

export function addressOfWishes({ count, ...wishes }) {
  const address = new URLSearchParams({ seed: wishes.seed });
  if (count !== FIRST_COUNT) address.set("n", count);
  if (wishes.temperature !== 1) address.set("temperature", wishes.temperature);
  for (const name of [...TEXTS, ...NUMBERS]) if (wishes[name]) address.set(name, wishes[name]);
  for (const name of FLAGS) if (wishes[name]) address.set(name, "1");
  return `#${address}`;
}

export function wishesOfForm(form, count) {
  const wishes = { seed: form.seed.value.trim(), count, temperature: Number(form.temperature.value) };
  for (const name of TEXTS) if (form[name].value !== "") wishes[name] = form[name].value;
  for (const name of NUMBERS) if (form[name].value !== "") wishes[name] = Number(form[name].value);
  for (const name of FLAGS) if (form[name].checked) wishes[name] = true;
  return wishes;
}

export function showWishes(form, wishes) {
  form.temperature.value = wishes.temperature;
  for (const name of ["seed", ...TEXTS, ...NUMBERS]) form[name].value = wishes[name] ?? "";
  for (const name of FLAGS) form[name].checked = wishes[name] ?? false;
}
