// Thumbnails. Browsers show JPEG, PNG and WebP; PGM and PPM (what IDX files become) are drawn here.

import {payloadUrl} from "./api.js";
import {el} from "./dom.js";

const kept = new Map();  // Sample id -> promise of a function that makes the element.
const kKept = 500;

/** An element for the sample's picture; filled as soon as it is there. */
export function thumbnail(sample) {
  const size = sample.width > 0 ? ` (${sample.width}×${sample.height})` : "";
  const title = `${sample.name || sample.sample_id}${size}`;
  const slot = el("li", {title});
  if (!kept.has(sample.sample_id)) {
    if (kept.size >= kKept) kept.delete(kept.keys().next().value);
    kept.set(sample.sample_id, load(sample.sample_id));
  }
  kept.get(sample.sample_id).then((make) => slot.append(make(title)), () => slot.append("?"));
  return slot;
}

async function load(sampleId) {
  const url = payloadUrl(sampleId);
  const response = await fetch(url, {signal: AbortSignal.timeout(10_000)});
  if (!response.ok) throw new Error(`status ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const netpbm = decodeNetpbm(bytes);
  if (netpbm) {
    return (title) => {
      const canvas = el("canvas", {width: netpbm.width, height: netpbm.height, role: "img", "aria-label": title});
      canvas.getContext("2d").putImageData(netpbm, 0, 0);
      return canvas;
    };
  }
  return (title) => el("img", {src: url, alt: title, loading: "lazy", decoding: "async"});
}

/** Binary PGM (P5) and PPM (P6) of 8 bits, up to a megapixel; null for anything else. */
export function decodeNetpbm(bytes) {
  if (bytes[0] !== 0x50 || (bytes[1] !== 0x35 && bytes[1] !== 0x36)) return null;
  let at = 2;
  const values = [];
  while (values.length < 3) {
    while (bytes[at] === 0x20 || (bytes[at] >= 0x09 && bytes[at] <= 0x0d)) ++at;
    if (bytes[at] === 0x23) {
      while (at < bytes.length && bytes[at] !== 0x0a) ++at;
      continue;
    }
    let value = 0;
    const begin = at;
    while (bytes[at] >= 0x30 && bytes[at] <= 0x39 && at - begin < 8) value = value * 10 + bytes[at++] - 0x30;
    if (at === begin) return null;
    values.push(value);
  }
  ++at;
  const [width, height, most] = values;
  const channels = bytes[1] === 0x36 ? 3 : 1;
  if (width < 1 || height < 1 || width * height > 1 << 20 || most !== 255) return null;
  if (bytes.length < at + width * height * channels) return null;
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; ++i) {
    for (let c = 0; c < 3; ++c) image.data[i * 4 + c] = bytes[at + i * channels + (channels === 3 ? c : 0)];
    image.data[i * 4 + 3] = 255;
  }
  return image;
}
