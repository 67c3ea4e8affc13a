// Shows openapi.json to people: each call with its words, parameters, body and answers.
const api = await (await fetch("/openapi.json")).json();
const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((c) => c != null));
  return node;
};
const name = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.type === "array") return `list of ${name(schema.items)}`;
  if (schema.oneOf || schema.anyOf) return (schema.oneOf || schema.anyOf).map(name).join(" or ");
  return [schema.type].flat().filter((t) => t !== "null").join(" or ") + (schema.format ? ` (${schema.format})` : "");
};
const fields = (schema, seen = new Set()) => {
  const key = schema?.$ref?.split("/").pop();
  if (key && seen.has(key)) return {};
  const all = key ? api.components.schemas[key] : schema;
  const next = new Set(seen).add(key);
  return Object.assign({}, ...(all?.allOf ?? []).map((part) => fields(part, next)), all?.properties);
};
const required = (schema) => (schema?.$ref ? api.components.schemas[schema.$ref.split("/").pop()] : schema)?.required ?? [];
const table = (schema) => {
  const rows = Object.entries(fields(schema)).map(([field, s]) =>
    make("tr", {}, make("td", {}, make("code", { textContent: field }), required(schema).includes(field) ? " *" : ""),
      make("td", { textContent: name(s), className: "soft" }), make("td", { textContent: s.description ?? "" })));
  return rows.length ? make("table", {}, make("tbody", {}, ...rows)) : null;
};
document.querySelector("#version").textContent = api.info.version;
const groups = document.querySelector("#groups");
for (const tag of api.tags) {
  const calls = make("div");
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, call] of Object.entries(methods)) {
      if (!call.tags?.includes(tag.name)) continue;
      const body = call.requestBody?.content?.["application/json"]?.schema;
      const answers = Object.entries(call.responses).map(([status, answer]) => {
        const content = Object.values(answer.content ?? {})[0]?.schema;
        return make("tr", {}, make("td", {}, make("code", { textContent: status })), make("td", { textContent: name(content), className: "soft" }), make("td", { textContent: answer.description ?? "" }));
      });
      const parameters = (call.parameters ?? []).map((p) =>
        make("tr", {}, make("td", {}, make("code", { textContent: p.name })), make("td", { textContent: p.in, className: "soft" }), make("td", { textContent: p.description ?? "" })));
      calls.append(make("details", {},
        make("summary", {}, make("span", { className: "tag", textContent: method.toUpperCase() }), " ", make("code", { textContent: path }), " ", make("span", { className: "soft", textContent: call.summary ?? "" })),
        make("div", { className: "body" },
          call.description ? make("p", { textContent: call.description }) : null,
          parameters.length ? make("table", {}, make("tbody", {}, ...parameters)) : null,
          body ? make("div", {}, make("h2", { textContent: `Body: ${name(body)}` }), table(body)) : null,
          make("div", {}, make("h2", { textContent: "Answers" }), make("table", {}, make("tbody", {}, ...answers))))));
    }
  }
  groups.append(make("section", { className: "panel" }, make("header", {}, make("h2", { textContent: tag.name[0].toUpperCase() + tag.name.slice(1) }), make("span", { className: "soft", textContent: tag.description ?? "" })), calls));
}
