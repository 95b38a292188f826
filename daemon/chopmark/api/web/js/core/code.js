// The text of a QR code in a picture: what a camera or scanner has seen.

import { decodeQR } from "../../vendor/qr-decode.js";

/** Pixels of the largest picture that is looked at in double size too: 200 dpi of a page. */
const MAX_DOUBLED = 4_000_000;

/**
 * The text of a picture's QR code.
 * @param {{width: number, height: number, data: Uint8Array | Uint8ClampedArray}} image RGBA
 * @param {{thorough?: boolean}} options thorough: take up to a second or two over it, which a
 *   picture is worth and a camera's frame is not
 * @returns {string | null} null if none was found that can be read
 */
export function readCode(image, { thorough = false } = {}) {
  const found = decode(image);
  if (found !== null || !thorough || image.width * image.height > MAX_DOUBLED) return found;
  return decode(double(image), "I420"); // smooths noise, where modules have few pixels
}

function decode(image, format = "RGBA") {
  try {
    return decodeQR(image, { format });
  } catch {
    return null; // it raises for whatever it could not find or read
  }
}

/** A picture of twice the size, its brightness only, interpolated between the pixels. */
function double({ width, height, data }) {
  const [wide, high] = [2 * width, 2 * height];
  const light = Float32Array.from({ length: width * height }, (_, at) =>
    0.299 * data[4 * at] + 0.587 * data[4 * at + 1] + 0.114 * data[4 * at + 2],
  );
  const doubled = new Uint8Array(wide * high * 1.5); // the planes for colours are not looked at
  for (let y = 0; y < high; y++) {
    const [above, below, down] = between(y, height);
    for (let x = 0; x < wide; x++) {
      const [left, right, along] = between(x, width);
      const top = mix(light[above * width + left], light[above * width + right], along);
      const bottom = mix(light[below * width + left], light[below * width + right], along);
      doubled[y * wide + x] = mix(top, bottom, down);
    }
  }
  return { width: wide, height: high, data: doubled };
}

/** The two pixels that a pixel of the doubled picture lies between, and how far from the first. */
function between(at, size) {
  const place = Math.max(0, at / 2 - 0.25);
  const first = Math.floor(place);
  return [first, Math.min(first + 1, size - 1), place - first];
}

const mix = (a, b, part) => a + (b - a) * part;
