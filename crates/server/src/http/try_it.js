// Makes a form of each operation in the OpenAPI document. No library, no inline style, no HTML from
// text: everything is built node by node.
"use strict";

const make = (name, attributes = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};

// Text in which `this` is code.
const prose = (text) =>
  text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));

const resolve = (document_, schema) => {
  if (!schema) return {};
  if (schema.$ref) return resolve(document_, document_.components.schemas[schema.$ref.split("/").pop()]);
  const choice = (schema.oneOf || schema.anyOf || []).find((one) => one.type !== "null");
  return choice ? resolve(document_, choice) : schema;
};

// What a body may look like: every field with an example of its type.
const example = (document_, schema) => {
  const resolved = resolve(document_, schema);
  const fields = {};
  for (const [name, field] of Object.entries(resolved.properties || {})) {
    const { type, example: given } = resolve(document_, field);
    const types = [].concat(type || "string");
    fields[name] = given !== undefined ? given : types.includes("boolean") ? false : types.includes("null") ? null : "";
  }
  return JSON.stringify(fields, null, 2);
};

const field = (id, words, control) => {
  control.id = id;
  return make("p", {}, make("label", { for: id }, words), control);
};

const show = async (output, response, started) => {
  const text = await response.text();
  let shown = text;
  try {
    shown = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // Not JSON: shown as it is.
  }
  const took = Math.round(performance.now() - started);
  const next = response.headers.get("session-token") ? "\nA new token came in Session-Token; it is filled in above." : "";
  output.textContent = `${response.status} ${response.statusText} in ${took} ms${next}\n\n${shown.slice(0, 100000)}`;
};

const call = (document_, path, method, operation, index) => {
  const parameters = (operation.parameters || []).map((parameter) => {
    const { enum: values, type } = resolve(document_, parameter.schema);
    const control = values
      ? make("select", {}, make("option", { value: "" }, "any"), ...values.map((value) => make("option", { value }, value)))
      : make("input", { type: [].concat(type).includes("integer") ? "number" : "text", autocomplete: "off" });
    if (parameter.in === "path") control.required = true;
    const words = `${parameter.name}${parameter.description ? `: ${parameter.description}` : ""}`;
    return { parameter, control, row: field(`call-${index}-${parameter.name}`, words, control) };
  });
  const content = operation.requestBody?.content?.["application/json"];
  const body = content ? make("textarea", { rows: "7", spellcheck: "false" }) : null;
  if (body) body.value = operation.requestBody.required ? example(document_, content.schema) : "";
  const output = make("pre", { tabindex: "0", role: "status", "aria-label": `Answer of ${method.toUpperCase()} ${path}` });
  output.hidden = true;

  const form = make("form", {}, ...parameters.map(({ row }) => row));
  if (body) form.append(field(`call-${index}-body`, "Body (JSON)", body));
  form.append(make("p", {}, make("button", { type: "submit" }, `Send ${method.toUpperCase()}`)), output);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let target = path;
    const query = new URLSearchParams();
    for (const { parameter, control } of parameters) {
      if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(control.value));
      else if (control.value !== "") query.append(parameter.name, control.value);
    }
    if (query.size) target += `?${query}`;
    const bearer = document.getElementById("bearer");
    const headers = {};
    if (bearer.value) headers.authorization = `Bearer ${bearer.value.trim()}`;
    const options = { method: method.toUpperCase(), headers, credentials: bearer.value ? "omit" : "same-origin" };
    if (body?.value.trim()) {
      headers["content-type"] = "application/json";
      options.body = body.value;
    }
    output.hidden = false;
    output.textContent = "…";
    const started = performance.now();
    try {
      const response = await fetch(target, options);
      const successor = response.headers.get("session-token");
      if (successor) bearer.value = successor;
      await show(output, response, started);
    } catch (error) {
      output.textContent = `The server could not be reached: ${error.message}`;
    }
  });

  const title = make("summary", {}, make("strong", {}, method.toUpperCase()), ` ${path}`);
  return make("details", {}, title, make("p", {}, ...prose([operation.summary, operation.description].filter(Boolean).join(" "))), form);
};

const start = async () => {
  const document_ = await (await fetch("/api/openapi.json")).json();
  document.getElementById("about").prepend(...prose(`${document_.info.description} `));
  const groups = new Map((document_.tags || []).map(({ name }) => [name, make("section", {}, make("h2", {}, name))]));
  let index = 0;
  for (const [path, item] of Object.entries(document_.paths)) {
    for (const method of ["get", "post", "patch", "put", "delete"]) {
      const operation = item[method];
      if (!operation) continue;
      const tag = operation.tags?.[0] || "Other";
      if (!groups.has(tag)) groups.set(tag, make("section", {}, make("h2", {}, tag)));
      groups.get(tag).append(call(document_, path, method, operation, index));
      index += 1;
    }
  }
  document.getElementById("calls").append(...groups.values());
};

start();
