// The page: reads the address, draws names, and answers clicks and keys.

import { addressOfWishes, freshWishes, showWishes, wishesOfAddress, wishesOfForm } from "./address.mjs";
import { Generator } from "./generator.mjs";
import { drawNames, fileText, nameItem, saveFile } from "./names_list.mjs";
import { unpacked } from "./packing.mjs";
import { followerItem, followers, letterItem, verdictText } from "./workbench.mjs";

const element = (id) => document.getElementById(id);
const TYPES = { txt: "text/plain", csv: "text/csv", json: "application/json" };
const MORE = 24;

async function startPage() {
  const model = element("model");
  const generator = await Generator.load(await unpacked(model.textContent, Number(model.dataset.bytes)));
  const form = element("wishes");
  let wishes = freshWishes();
  let names = [];
  let turn = 0; // of what was asked for: an older turn stops drawing

  // Draws from the seed's first name on. The first names are the same ones, however many are asked for.
  async function draw(said) {
    const own = (turn += 1);
    names = [];
    let list = document.createDocumentFragment();
    const problem = problemWith(generator, wishes);
    for (const field of form.querySelectorAll("input, select")) field.removeAttribute("aria-invalid");
    if (problem !== null) {
      if (problem.field !== null) form[problem.field].setAttribute("aria-invalid", "true");
      say(problem.message);
      return;
    }
    let isFirst = true;
    const show = (found) => {
      names.push(...found);
      list.append(...found.map((name) => nameItem(name, look)));
      if (isFirst) element("names").replaceChildren(list);
      else element("names").append(list);
      list = document.createDocumentFragment();
      if (isFirst) performance.mark("names");
      isFirst = false;
      element("drawn-count").textContent = `seed ${wishes.seed}, ${names.length} shown`;
    };
    const { found, tried } = await drawNames(generator, wishes, show, () => own === turn);
    if (own !== turn) return;
    if (found < wishes.count) {
      const share = `${found} of ${tried.toLocaleString("en")} names drawn are as asked for`;
      say(`Found ${found} of ${wishes.count}: only ${share}. Ask for less, or take a higher temperature.`);
    } else say(said(names));
    element("names").dataset.ready = String(own);
  }

  const say = (text) => {
    element("status").textContent = text;
  };

  function more() {
    wishes.count += MORE;
    history.replaceState(null, "", addressOfWishes(wishes));
    draw(() => `${MORE} more names`);
  }

  function wish(changed) {
    wishes = changed;
    history.replaceState(null, "", addressOfWishes(wishes));
    element("temperature-value").textContent = wishes.temperature.toFixed(2);
    draw(() => "");
    follow();
  }

  // Shows a name at the bench.
  function look(name) {
    element("typed").value = name;
    follow();
  }

  function follow() {
    const typed = element("typed").value;
    const { category } = wishes;
    if (!isCategory(generator, category)) return;
    const score = generator.score(typed, { category });
    element("letters").replaceChildren(...(typed === "" ? [] : score.letters.map(letterItem)));
    element("verdict").textContent = typed === "" ? "" : verdictText(score);
    const isKnown = score.letters.every(({ nll }) => Number.isFinite(nll)) && [...typed].length < generator.maxLength;
    const found = isKnown ? followers(generator, typed, { temperature: wishes.temperature, category }) : [];
    element("follow").replaceChildren(...found.map((next, place) => followerItem(next, (letter) => pick(letter, place))));
  }

  function pick(letter, place) {
    const typed = element("typed").value;
    if (letter !== "") {
      look(typed + letter);
      element("follow").querySelectorAll("button")[place]?.focus();
    } else if (typed !== "") {
      names.unshift(typed);
      element("names").prepend(nameItem(typed, look));
      say(`Added to the names.`);
    }
  }

  showAbout(generator);
  showCategories(generator, form);
  form.minLength.max = form.maxLength.max = generator.maxLength;
  if (generator.known === null) element("novel-label").hidden = true;
  const takeAddress = () => {
    const asked = wishesOfAddress(location.hash);
    showWishes(form, asked);
    wish(asked);
  };
  takeAddress();
  addEventListener("hashchange", takeAddress);
  form.addEventListener("input", () => wish(wishesOfForm(form, wishes.count)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    wish(wishesOfForm(form, wishes.count));
  });
  element("more").addEventListener("click", more);
  element("anew").addEventListener("click", () => {
    form.seed.value = freshWishes().seed;
    wish(wishesOfForm(form, MORE));
  });
  element("copy").addEventListener("click", () => copyText(fileText(names, "txt"), say));
  element("download").addEventListener("change", (event) => {
    const kind = event.target.value;
    event.target.value = "";
    if (kind !== "") saveFile(fileText(names, kind), `names-${wishes.seed}.${kind}`, TYPES[kind]);
  });
  element("typed").addEventListener("input", follow);
  document.addEventListener("keydown", (event) => {
    const isFree = !event.target.closest("input, button, select, textarea, a, summary");
    if (event.key === " " && isFree && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.preventDefault();
      more();
    }
  });
}

function isCategory({ categories }, category) {
  return category === undefined || (categories ?? []).some(({ name }) => name === category);
}

function showCategories({ categories }, form) {
  if (categories === null) return;
  element("category-label").hidden = false;
  form.category.append(...categories.map(({ name }) => new Option(name, name)));
}

// What is wrong with the wishes: { message, field }, or null.
function problemWith(generator, { count, ...options }) {
  try {
    generator.attempts(options).next();
    return null;
  } catch (error) {
    const message = String(error.message);
    const field = Object.keys(options).find((name) => message.startsWith(name)) ?? null;
    return { message: message.charAt(0).toUpperCase() + message.slice(1), field };
  }
}

async function copyText(text, say) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch {
    // A page without a server may have no clipboard.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    say(document.execCommand("copy") ? "Copied." : "The browser does not let this page copy: download the names.");
    area.remove();
  }
}

function showAbout({ about, symbols }) {
  const whole = (number) => number.toLocaleString("en");
  const loss = (value) => (value === null ? "not known" : `${value.toFixed(4)} nats a letter`);
  element("title").textContent = document.title;
  element("summary").textContent =
    `Drawn letter by letter by a ${about.model} that learnt from ${whole(about.num_names)} names. All of it is in this page.`;
  const facts = [
    ["Model", `${about.model}, ${whole(about.parameters)} parameters, recipe ${about.recipe}`],
    ["Trained", about.steps > 0 ? `${whole(about.steps)} steps` : "by counting"],
    ["List", `${about.data}, ${whole(about.num_names)} names of ${symbols.length} letters`],
    ["Held-out loss (dev)", loss(about.losses.dev)],
    ["Held-out loss (test)", loss(about.losses.test)],
    ["Training loss", loss(about.losses.train)],
    ["Weights", "float32, as they were trained"],
    ["Made by", about.created_by],
  ];
  for (const [term, description] of facts) {
    const pair = document.createElement("div");
    const dt = document.createElement("dt");
    const dd = document.createElement("dd");
    dt.textContent = term;
    dd.textContent = description;
    pair.append(dt, dd);
    element("about").append(pair);
  }
}

startPage();
