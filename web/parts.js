// What several views are made of.

import {el} from "./dom.js";
import {number} from "./format.js";

export const pill = (text, tone = "") => el("span", {class: `pill ${tone}`}, text);
export const empty = (text) => el("p", {class: "empty"}, text);
export const problem = (service, text) =>
  el("p", {class: "problem", role: "alert"}, text.startsWith(`${service}: `) ? text : `${service}: ${text}`);
// Of ids the end: their beginning is the time and looks alike. Of hashes the beginning, as everywhere.
export const shortId = (id) => el("code", {class: "id", title: id}, `…${String(id ?? "").slice(-8)}`);
/** A text with the ids in it as short as they can be told apart. */
export const withIds = (text) => String(text ?? "").split(/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/)
  .map((part, i) => i % 2 === 1 ? shortId(part) : part);
export const shortHash = (hash) => el("code", {class: "id", title: hash}, String(hash ?? "").slice(0, 10));
export const sum = (values) => values.reduce((total, value) => total + number(value), 0);

export function table(caption, headers, rows) {
  return el("div", {class: "card table-wrap", tabindex: "0", role: "region", "aria-label": caption, dataset: {key: caption}},
    el("table", {},
      el("caption", {class: "visually-hidden"}, caption),
      el("thead", {}, el("tr", {}, headers.map((header) =>
        el("th", {scope: "col", class: header.startsWith(">") ? "number" : undefined}, header.replace(/^>/, ""))))),
      el("tbody", {}, rows)));
}

export const bar = (share, kind = "") =>
  el("span", {class: kind, style: {width: `${Math.max(0, Math.min(1, share)) * 100}%`}});
