// Numbers, times and names for people.

const counts = new Intl.NumberFormat("en", {useGrouping: true});

/** 64-bit integers come as text. */
export const number = (value) => Number(value ?? 0);
export const count = (value) => counts.format(number(value)).replaceAll(",", "\u202f");
export const fixed = (value, digits = 3) => number(value).toFixed(digits);
export const percent = (share) => `${(share * 100).toFixed(1)}\u202f%`;

/** "RUN_STATE_QUEUED", "RUN_STATE_" -> "queued" */
export const word = (name, prefix) => String(name ?? "").replace(prefix, "").toLowerCase().replaceAll("_", " ");

export function ago(time, now = Date.now()) {
  const then = Date.parse(time);
  if (Number.isNaN(then)) return "";
  const seconds = Math.max(0, (now - then) / 1000);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

/** The clock's part of a time, in the reader's zone. */
export function clock(time) {
  const then = new Date(time);
  return Number.isNaN(then.getTime()) ? "" : then.toLocaleTimeString("en-GB");
}

export const secondsBetween = (from, to) => (Date.parse(to) - Date.parse(from)) / 1000;

export function duration(seconds) {
  if (!(seconds > 0)) return "";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
