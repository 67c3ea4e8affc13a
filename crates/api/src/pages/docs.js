// Shows openapi.json to people: each call with its words, parameters, body, an example of it, and answers, each type down to its last field.
// What is closed is made when it is opened.
const api = await (await fetch("/openapi.json")).json();
const { schemas } = api.components;
/** Components that the document wrote out where they are used, by what is in them. */
const written = new Map(Object.entries(schemas).map(([name, schema]) => [JSON.stringify(schema), name]));

// --- nodes ---

const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((c) => c != null));
  return node;
};
const code = (textContent) => make("code", { textContent });
const soft = (textContent) => make("span", { className: "soft", textContent });
/** Text whose backticks mark code. */
const prose = (text = "") => text.split(/`([^`]+)`/).map((part, i) => (i % 2 ? code(part) : part));
const paragraphs = (text) => (text ?? "").split(/\n{2,}/).filter(Boolean).map((text) => make("p", {}, ...prose(text)));
const lazy = (head, build, open = false) => {
  const details = make("details", { open }, make("summary", {}, ...head));
  if (open) details.append(build());
  else details.addEventListener("toggle", () => details.append(build()), { once: true });
  return details;
};

// --- schemas ---

const isNull = (schema) => schema.type === "null";
const choices = (schema) => (schema.oneOf ?? schema.anyOf ?? []).filter((choice) => !isNull(choice));
const types = (schema) => [schema.type ?? []].flat();
const isMap = (schema) => !schema.properties && typeof schema.additionalProperties === "object";
const word = (schema) => (schema.$ref?.split("/").pop() ?? written.get(JSON.stringify(schema)))?.replace("_", " of ");
/** A schema with what it refers to, its own words first, and without the wrapping of what may be null. */
const plain = (schema) => {
  const all = schema.$ref ? { ...schemas[schema.$ref.split("/").pop()], ...schema } : schema;
  const [only, other] = choices(all);
  return only && !other && !all.allOf && !all.properties ? { ...plain(only), ...(all.description && { description: all.description }) } : all;
};
const orNull = (schema) => types(plain(schema)).includes("null") || (schema.oneOf ?? schema.anyOf)?.some(isNull);
/** From a list or map down to what is in it. */
const layers = (schema, above = []) => {
  const all = plain(schema);
  const within = all.items ?? (isMap(all) ? all.additionalProperties : null);
  return within && !(all.$ref && above.includes(all.$ref)) ? [all, ...layers(within, [...above, all.$ref])] : [all];
};
const kind = (schema) => {
  const [inner, ...around] = layers(schema).reverse();
  const type = types(inner).filter((t) => t !== "null").join(" or ") || (inner.allOf || inner.properties ? "object" : "anything");
  const named = word(inner) ?? (choices(inner).map(kind).join(" or ") || type + (inner.format ? ` (${inner.format})` : ""));
  return around.reverse().map((layer) => (layer.items ? "list of " : "map of ")).join("") + named;
};
/** What an object is made of, whatever it was put together from: its fields, which of them it must have, its variants. */
const parts = (schema) => {
  const all = plain(schema);
  const found = { fields: { ...all.properties }, required: [...(all.required ?? [])], variants: choices(all) };
  for (const part of (all.allOf ?? []).map(parts)) {
    Object.assign(found.fields, part.fields);
    found.required.push(...part.required);
    found.variants.push(...part.variants);
  }
  return found;
};
const range = (low, high, unit) => {
  const [from, to] = [low || null, high].map((n) => n?.toLocaleString("en")); // that nothing counts less than 0 goes without saying
  const said = from && to ? `${from} to ${to}` : from ? `At least ${from}` : to && `At most ${to}`;
  return said && `${said}${unit && ` ${unit}${(high ?? low) === 1 ? "" : "s"}`}.`;
};
const list = (values) => values.map((value) => `\`${typeof value === "string" ? value : JSON.stringify(value)}\``).join(", ");
/** What is known of a value beyond its type, in words. */
const facts = (schema) => layers(schema).flatMap((s) => [
  s.enum && `One of ${list(s.enum)}.`, s.const !== undefined && `Always ${list([s.const])}.`, s.propertyNames?.enum && `Keys: ${list(s.propertyNames.enum)}.`,
  range(s.minItems, s.maxItems, "item"), range(s.minLength, s.maxLength, "character"), range(s.minimum, s.maximum, ""),
  s.pattern && `Matches ${list([s.pattern])}.`, s.default != null && `Default: ${list([s.default])}.`,
  (s.example ?? s.examples?.[0]) !== undefined && `Example: ${list([s.example ?? s.examples[0]])}.`,
]).filter(Boolean).join(" ");
/** A description and what is known besides, as sentences. */
const told = (description, known) => (known ? [description?.replace(/\w$/, "$&."), known].filter(Boolean).join(" ") : description ?? "");

// --- rows: one a field, a variant, a parameter or an answer; it opens if there is more in it ---

const row = (name, type, words, schema, above = [], open = false) => {
  const inner = schema && layers(schema).at(-1);
  const named = inner && word(inner);
  const { fields, variants } = inner ? parts(inner) : { fields: {}, variants: [] };
  const more = Object.keys(fields).length || variants.length;
  const again = more && above.includes(named);
  const head = [make("span", {}, name, " ", type), make("span", {}, ...prose(told(words, again && "Its fields stand above.")))];
  if (!more || again) return make("li", {}, make("div", {}, ...head));
  return make("li", {}, lazy(head, () => shape(inner, [...above, named].filter(Boolean), words), open));
};
const required = (is) => (is ? make("strong", { textContent: " required" }) : null);
const typed = (text, must) => make("span", {}, soft(text), required(must));
const field = ([name, schema], must, above) => {
  const words = told(plain(schema).description, facts(schema));
  return row(code(name), typed(kind(schema) + (orNull(schema) ? " or null" : ""), must), words, schema, above);
};
/** How a variant looks in JSON, or what it is called. */
const variant = (schema, above) => {
  const [all, { fields, required: must }] = [plain(schema), parts(schema)];
  const names = must.length ? must : Object.keys(fields).slice(0, 3);
  const only = all.enum?.length === 1;
  const object = !word(schema) && names.length && `{${names.map((name) => `"${name}": …`).join(", ")}}`;
  const [looks, words] = [only ? JSON.stringify(all.enum[0]) : object, told(all.description, only ? null : facts(schema))];
  return row(looks ? code(looks) : make("span", { textContent: kind(schema) }), "", words, schema, above, !word(schema));
};
const rows = (...all) => make("ul", { className: "fields" }, ...all);
/** All that is in a type, below the words that are not said yet. */
const shape = (schema, above, said = "") => {
  const { fields, required: must, variants } = parts(schema);
  const { description } = schema.$ref ? schemas[schema.$ref.split("/").pop()] : plain(schema);
  const sorted = Object.entries(fields).sort(([a], [b]) => must.includes(b) - must.includes(a));
  return make("div", {},
    ...(description && !said.includes(description) ? paragraphs(description) : []),
    sorted.length ? rows(...sorted.map((entry) => field(entry, must.includes(entry[0]), above))) : null,
    variants.length ? make("p", { textContent: sorted.length ? "And one of these:" : "One of these:" }) : null,
    variants.length ? rows(...variants.map((choice) => variant(choice, above))) : null);
};

// --- an example of a body ---

/** Sample values by the name of a field or a type: also keys of maps, and elements of lists. */
const SAMPLES = {
  RecipientRef: "ada", recipients: "ada", topic: "football", title: "A new bridge opens today", body_markdown: "The first train crossed at **dawn**.",
  priority: "normal", email: "ada@example.com", address: "ada@example.com", url: "https://example.com/", name: "Football", categories: "news",
};
const FORMATS = { "date-time": "2030-01-01T09:00:00Z", uuid: "01a2207c-72a0-7ac0-b580-c8f6c0df92f3", email: "ada@example.com", uri: "https://example.com/" };
const sample = (schema, name, above = []) => {
  const all = plain(schema);
  const given = all.example ?? all.examples?.[0] ?? all.const;
  if (given !== undefined) return given;
  const named = all.enum?.find((value) => all.description?.includes(`\`${value}\``));
  if (all.enum) return all.enum.find((value) => value === SAMPLES[name]) ?? named ?? all.enum[0];
  if (all.items) return plain(all.items).enum ?? [sample(all.items, name, above)];
  if (isMap(all)) return { [all.propertyNames?.enum?.[0] ?? SAMPLES[name] ?? "name"]: sample(all.additionalProperties, "", above) };
  const type = types(all).find((type) => type !== "null");
  if (type === "boolean") return true;
  if (type === "integer" || type === "number") return all.minimum ?? 0;
  if (type === "string") return FORMATS[all.format] ?? SAMPLES[name] ?? "…";
  if (choices(all).length) return sample(choices(all)[0], word(all) ?? name, above);
  return above.includes(word(all)) ? {} : composed(all, [...above, word(all)].filter(Boolean));
};
/** What must be there, then what has a sample that is worth showing. */
const composed = (schema, above) => {
  const { fields, required: must } = parts(schema);
  const either = Object.values(fields).map((s) => plain(s).description?.match(/Exactly one of `(\w+)` and `(\w+)`/)?.slice(1)).find(Boolean) ?? [];
  const isObject = (name) => Object.keys(parts(fields[name]).fields).length > 0;
  const worth = ([name, s]) => !isObject(name) && (SAMPLES[name] || layers(s).some((s) => s.enum || s.propertyNames?.enum || s.example !== undefined));
  const names = new Set([...must, ...either.filter(isObject).slice(0, 1), ...Object.entries(fields).filter(worth).map(([name]) => name)]);
  if (!names.size) Object.keys(fields).filter(isObject).slice(0, 1).forEach((name) => names.add(name));
  return Object.fromEntries([...names].map((name) => [name, sample(fields[name], name, above)]));
};

// --- the page ---

/** JSON as one writes it by hand: short lists on one line. */
const json = (value) => JSON.stringify(value, null, 2).replace(/\[\n\s*([^[\]{}]*?)\n\s*\]/g, (_, list) => `[${list.replace(/\n\s*/g, " ")}]`);
const body = ({ content, required: must }) => {
  const [media, { schema = {}, example, examples }] = Object.entries(content)[0];
  const { description } = plain(schema);
  return make("div", {},
    make("h3", {}, `Body: ${kind(schema)}`, required(must)), media === "application/json" ? null : make("p", {}, code(media)), ...paragraphs(description),
    make("p", { className: "soft", textContent: "For example:" }),
    make("pre", { textContent: json(example ?? Object.values(examples ?? {})[0]?.value ?? sample(schema)) }), shape(schema, [word(schema)], description));
};
const answer = ([status, { description, headers, content }]) => {
  const schema = Object.values(content ?? {})[0]?.schema;
  const also = Object.entries(headers ?? {}).map(([name, header]) => `Header \`${name}\`: ${header.description}.`).join(" ");
  return row(code(status), soft(schema ? kind(schema) : ""), told(description || (schema && plain(schema).description), also), schema);
};
const parameter = (p) => row(code(p.name), typed(`${kind(p.schema)}, ${p.in}`, p.required), told(p.description, facts(p.schema)));
const call = (method, path, { summary, description, parameters, requestBody, responses }) => lazy(
  [make("span", { className: "tag", textContent: method.toUpperCase() }), " ", code(path), " ", make("span", { className: "soft" }, ...prose(summary))],
  () => make("div", { className: "body" },
    description ? make("div", {}, ...paragraphs(description)) : null,
    parameters?.length ? make("div", {}, make("h3", { textContent: "Parameters" }), rows(...parameters.map(parameter))) : null,
    requestBody ? body(requestBody) : null,
    make("div", {}, make("h3", { textContent: "Answers" }), rows(...Object.entries(responses).map(answer)))));

const sheet = new CSSStyleSheet(); // the page's policy allows no inline style
sheet.replaceSync(`
  h3 { font-size: 15px; margin: 0 0 var(--gap); } .body p { margin: 0 0 var(--gap); } .body strong { color: var(--accent); font-size: 13px; }
  .fields { list-style: none; margin: 0 0 var(--gap); padding: 0; border-block-end: 1px solid var(--line); } .fields .fields { margin: 0; border: 0; }
  .fields li { border-block-start: 1px solid var(--line); }
  .fields :is(li > div, summary) {
    display: flex; flex-wrap: wrap; gap: 0 calc(2 * var(--gap)); align-items: baseline;
    position: relative; padding: 6px 8px 6px 24px; overflow-wrap: anywhere;
  }
  .fields summary:hover { background: var(--ground); } .fields summary::-webkit-details-marker { display: none; }
  .fields summary::before { content: "▸"; position: absolute; inset-inline-start: 8px; color: var(--accent); }
  .fields [open] > summary::before { content: "▾"; }
  .fields :is(li > div, summary) > :first-child { flex: 0 1 288px; }
  .fields :is(li > div, summary) > :last-child { flex: 1 1 300px; }
  .fields :empty { display: none; }
  .fields details > div { margin-inline-start: 12px; border-inline-start: 2px solid var(--line); padding: 4px 0 4px 12px; }
  pre { margin-block-end: calc(2 * var(--gap)); }
  summary:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }`);
document.adoptedStyleSheets.push(sheet);

document.querySelector("#version").textContent = api.info.version;
const calls = Object.entries(api.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, said]) => ({ method, path, said })));
const known = api.tags.map(({ name }) => name);
const others = new Set(calls.flatMap(({ said }) => said.tags ?? []).filter((name) => !known.includes(name)));
for (const { name, description } of [...api.tags, ...[...others].map((name) => ({ name }))]) {
  const its = calls.filter(({ said }) => said.tags?.includes(name));
  document.querySelector("#groups").append(make("section", { className: "panel" },
    make("header", {}, make("h2", { textContent: name[0].toUpperCase() + name.slice(1) }), make("span", { className: "soft" }, ...prose(description))),
    make("div", {}, ...its.map(({ method, path, said }) => call(method, path, said)))));
}
