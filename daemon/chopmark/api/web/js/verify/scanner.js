/** Reads the slip in one file, in a thread of its own. In: the file. Out: `{proof}`, `{malformed}` or `{}`. */

import { slipToProof } from "../core/slip.js";
import { scanFile } from "../views/scan.js";

/** Pixels of the largest picture that is unpacked: four bytes each. */
const MAX_PIXELS = 64_000_000;
const NOTHING = new Set(["no-code", "unreadable-picture"]);

self.onmessage = async ({ data: file }) => {
  try {
    const pixels = countPixels(new DataView(await file.arrayBuffer()));
    if (pixels > MAX_PIXELS) throw Object.assign(new Error("large"), { code: "unreadable-picture" });
    self.postMessage({ proof: new TextDecoder().decode(slipToProof(await scanFile(file))) });
  } catch (error) {
    self.postMessage({ malformed: Boolean(error.code) && !NOTHING.has(error.code) });
  }
};

/** As its first bytes say: a small file may unpack to gigabytes. 0 where it is no PNG or JPEG. */
function countPixels(view) {
  if (view.byteLength < 32) return 0;
  if (view.getUint32(0) === 0x89504e47) return view.getUint32(16) * view.getUint32(20);
  return view.getUint16(0) === 0xffd8 ? countInFrame(view) : 0;
}

/** Of a JPEG (ITU-T T.81, B.2.2): the frame header, which other segments stand before. */
function countInFrame(view) {
  for (let at = 2; at + 9 < view.byteLength; at += 2 + view.getUint16(at + 2)) {
    const marker = view.getUint16(at);
    if (marker < 0xff00) return Infinity; // not where a segment begins
    const isFrame = marker >= 0xffc0 && marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker);
    if (isFrame) return view.getUint16(at + 5) * view.getUint16(at + 7);
  }
  return 0;
}
