// Builds elements. Data only ever becomes text nodes and properties that take text: nothing here parses HTML.

/** el("p", {class: "muted", dataset: {key: "x"}}, "text", otherElement) */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "style") Object.assign(element.style, value);
    else if (name === "onclick") element.addEventListener("click", value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

/** The same for the parts of a drawing: svg("rect", {x: 1, class: "bar"}) */
export function svg(tag, properties = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value !== undefined) element.setAttribute(name, String(value));
  }
  append(element, children);
  return element;
}

export function append(parent, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    parent.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Replaces what is in `parent`; the focus and open details stay where they were, by their data-key. */
export function replaceContent(parent, ...children) {
  const focused = parent.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  const open = new Set([...parent.querySelectorAll("details[open]")].map((d) => d.dataset.key));
  const fresh = document.createDocumentFragment();
  append(fresh, children);
  for (const details of fresh.querySelectorAll("details")) {
    if (open.has(details.dataset.key)) details.open = true;
  }
  parent.replaceChildren(fresh);
  if (focused !== undefined) parent.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}
