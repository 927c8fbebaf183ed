// Makes the reference from openapi.json. Everything is set as text: nothing of the document becomes markup.
const element = (name, attributes, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
};
const code = (text) => element("code", {}, text);
// `code` in descriptions.
const prose = (text) => element("p", {}, ...text.split("`").map((part, i) => (i % 2 ? code(part) : part)));

const specification = await (await fetch("/openapi.json")).json();
const resolve = (part) =>
  part?.$ref ? part.$ref.slice(2).split("/").reduce((at, key) => at[key], specification) : part;
const schemaLink = (reference) => {
  const name = reference.split("/").pop();
  return element("a", { href: `#schema-${name}` }, name);
};

const typeOf = (schema) => {
  if (schema.$ref) return schemaLink(schema.$ref);
  const choice = schema.oneOf ?? schema.anyOf;
  if (choice) return element("span", {}, ...choice.flatMap((one, i) => (i ? [" or ", typeOf(one)] : [typeOf(one)])));
  if (schema.type === "array") return element("span", {}, "array of ", typeOf(schema.items ?? {}));
  if (schema.type === "object" && schema.properties) return members(schema);
  return [schema.type ?? "any"].flat().join(" or ") + (schema.format ? ` (${schema.format})` : "");
};
const limits = (schema) => {
  const told = [];
  if (schema.enum) told.push(`one of ${schema.enum.join(", ")}`);
  for (const key of ["minimum", "maximum", "minLength", "maxLength", "maxItems", "pattern", "default"])
    if (schema[key] !== undefined) told.push(`${key} ${schema[key]}`);
  return told.join("; ");
};
const table = (heads, rows) =>
  element("table", {}, element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, cell ?? ""))))));
const members = (schema) =>
  table(["member", "type", "meaning"], Object.entries(schema.properties).map(([name, member]) => [
    code(name + (schema.required?.includes(name) ? "" : "?")), typeOf(member),
    [member.description, limits(member)].filter(Boolean).join(" "),
  ]));
const example = (value) => element("pre", { tabindex: "0" }, typeof value === "string" ? value : JSON.stringify(value, null, 2));

const parameters = (list) =>
  table(["parameter", "in", "type", "meaning"], list.map(resolve).map((one) => [
    code(one.name), one.in + (one.required ? ", required" : ""), typeOf(one.schema),
    [one.description, limits(resolve(one.schema))].filter(Boolean).join(" "),
  ]));
const content = (body) =>
  Object.entries(body.content ?? {}).map(([type, media]) =>
    element("div", {}, code(type), " ", media.schema ? typeOf(media.schema) : ""));
const responses = (list) =>
  table(["status", "when", "body"], Object.entries(list).map(([status, response]) => {
    const told = resolve(response);
    return [status, told.description, element("div", {}, ...content(told))];
  }));
const requestExamples = (body) =>
  Object.values(body.content ?? {}).flatMap((media) =>
    [media.example, ...Object.values(media.examples ?? {}).map((one) => one.value)].filter((one) => one !== undefined).map(example));

const operationPart = (path, method, operation) =>
  element("section", { id: operation.operationId },
    element("h3", {}, element("span", { class: "method" }, method.toUpperCase()), " ", code(path)),
    element("p", {}, element("strong", {}, operation.summary), " ",
      operation.security?.length === 0 ? null : element("span", { class: "role" }, `needs the role ${operation["x-winnow-role"]}`)),
    operation.description ? prose(operation.description) : null,
    operation.parameters ? parameters(operation.parameters) : null,
    ...(operation.requestBody ? [prose(`Body. ${operation.requestBody.description ?? ""}`),
      ...content(operation.requestBody), ...requestExamples(operation.requestBody)] : []),
    responses(operation.responses));

const all = Object.entries(specification.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ path, method, operation })));
const reference = document.getElementById("reference");
document.getElementById("list").append(element("ul", {}, ...all.map(({ path, method, operation }) =>
  element("li", {}, element("a", { href: `#${operation.operationId}` },
    element("span", { class: "method" }, method.toUpperCase()), " ", path)))));
reference.replaceChildren(prose(specification.info.description));
for (const tag of specification.tags)
  reference.append(element("h2", {}, tag.name), prose(tag.description),
    ...all.filter(({ operation }) => operation.tags.includes(tag.name)).map(({ path, method, operation }) => operationPart(path, method, operation)));
reference.append(element("h2", {}, "Problems"), table(["kind", "status", "title"], specification["x-winnow-problems"].map(
  (problem) => [element("code", { id: `problem-${problem.name}` }, problem.name), String(problem.status), problem.title])));
reference.append(element("h2", {}, "Schemas"));
for (const [name, schema] of Object.entries(specification.components.schemas))
  reference.append(element("section", { id: `schema-${name}` }, element("h3", {}, name),
    schema.description ? prose(schema.description) : null,
    schema.properties ? members(schema) : element("p", {}, typeOf(schema), " ", limits(schema)),
    ...(schema.examples ?? []).map(example)));
if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
