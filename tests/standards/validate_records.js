// `node validate_records.js MODULES FOLDER`: validates the records of an archive against its own schemas with ajv, and
// prints as JSON, by path, the errors. The lines of the journal are `journal.jsonl:NUMBER`.

const fs = require("node:fs");
const path = require("node:path");
const { createRequire } = require("node:module");

const [modules, folder] = process.argv.slice(2);
const installed = createRequire(path.resolve(modules, "from-here.js"));
const Ajv = installed("ajv/dist/2020").default;
const addFormats = installed("ajv-formats").default;

// Strict: an unknown keyword or format, or a schema that says something other than it seems to, is an error. Of
// OpenAPI's `discriminator`, which pydantic writes beside a `oneOf`, JSON Schema knows nothing: a hint for readers.
const ajv = new Ajv({ strict: true, allErrors: true, keywords: ["discriminator"] });
addFormats(ajv);

const compiled = new Map();
function validatorOf(file) {
  if (!compiled.has(file)) compiled.set(file, ajv.compile(JSON.parse(fs.readFileSync(file, "utf-8"))));
  return compiled.get(file);
}

const report = { schemas: [], documents: {} };
function check(name, document, schema) {
  const validate = validatorOf(path.resolve(folder, schema));
  report.documents[name] = validate(document) ? [] : validate.errors;
}

for (const name of fs.readdirSync(path.join(folder, "schemas")).sort()) {
  validatorOf(path.resolve(folder, "schemas", name));
  report.schemas.push(name);
}
for (const name of fs.readdirSync(folder, { recursive: true }).sort()) {
  if (!name.endsWith(".json") || name.startsWith("schemas/")) continue;
  const document = JSON.parse(fs.readFileSync(path.join(folder, name), "utf-8"));
  if ("$schema" in document) check(name, document, path.join(path.dirname(name), document["$schema"]));
}
const lines = fs.readFileSync(path.join(folder, "journal.jsonl"), "utf-8").trimEnd().split("\n");
lines.forEach((line, index) => {
  check(`journal.jsonl:${index + 1}`, JSON.parse(line), "schemas/journal_event.schema.json");
});
process.stdout.write(JSON.stringify(report));
