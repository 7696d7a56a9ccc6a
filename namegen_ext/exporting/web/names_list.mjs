// The list of names: drawn in slices of time, so that the page never stands still, shown, copied and written to files.

const SLICE_MS = 40;
const MOST_MS = 4000; // after so long without a name, the search is given up

// Draws until `count` names are found, time runs out, or `isCurrent` says that something else was asked for meanwhile.
// Calls `show` with the names of each slice. Returns { found, tried }.
export async function drawNames(generator, { count, ...options }, show, isCurrent) {
  const attempts = generator.attempts(options);
  let found = 0;
  let tried = 0;
  let lastFound = performance.now();
  while (found < count && isCurrent() && performance.now() - lastFound < MOST_MS) {
    const names = [];
    const end = performance.now() + SLICE_MS;
    while (found < count && performance.now() < end) {
      const { value: name } = attempts.next();
      tried += 1;
      if (name === null) continue;
      names.push(name);
      found += 1;
      lastFound = performance.now();
    }
    if (!isCurrent()) break;
    show(names);
    if (found < count) await new Promise((resume) => setTimeout(resume));
  }
  return { found, tried };
}

export function nameItem(name, onPick) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const text = document.createElement("bdi");
  button.type = "button";
  text.textContent = visible(name);
  button.append(text);
  button.addEventListener("click", () => onPick(name));
  item.append(button);
  return item;
}

// Characters that turn the direction of text, and those that cannot be seen, are shown as a mark.
export function visible(name) {
  return name.replace(/[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g, "\u25cc");
}

export function fileText(names, kind) {
  if (kind === "json") return `${JSON.stringify(names, null, 1)}\n`;
  if (kind === "csv") return ["name", ...names.map(csvField)].map((line) => `${line}\r\n`).join("");
  return names.map((name) => `${name}\n`).join("");
}

// A field that begins as a formula does is kept from being one in a spreadsheet.
function csvField(name) {
  const text = /^[=+\-@\t]/.test(name) ? `'${name}` : name;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function saveFile(text, fileName, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = fileName;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
