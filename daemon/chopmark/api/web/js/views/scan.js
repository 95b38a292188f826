/** A slip from a file or from the camera. What is read is its text, and proves nothing yet. */

import { readCode } from "../core/code.js";
import { ChopmarkError } from "../core/errors.js";
import { findSlip, isSlip } from "../core/slip.js";

/** Bytes of the largest picture or PDF that is looked at. */
const MAX_FILE = 64 << 20;
/** Pixels on the longer side of a picture: 300 dpi of a page. More only takes longer. */
const MAX_SIDE = 3600;
/** Milliseconds between two looks at the camera. */
const PAUSE = 120;

/**
 * The slip in a picture, in the PDF that `chopmark slip` has made, or in a text file.
 * @param {Blob} file
 * @returns {Promise<string>} its text, for `slipToProof`
 * @throws {ChopmarkError} `no-code`: none was found; `unreadable-picture`
 */
export async function scanFile(file) {
  if (file.size > MAX_FILE) throw unreadable();
  const written = findSlip(new Uint8Array(await file.arrayBuffer()));
  if (written !== null) return written;
  const text = readCode(await readPixels(file), { thorough: true });
  if (text === null || !isSlip(text)) throw noCode();
  return text;
}

/**
 * The slip that is held before the camera.
 * @param {HTMLVideoElement} video shows what the camera sees
 * @param {AbortSignal} signal ends it; the camera is let go of in every case
 * @returns {Promise<string>} its text
 * @throws {DOMException} `NotAllowedError`, `NotFoundError` and the like of the camera; `AbortError`
 */
export async function scanCamera(video, signal) {
  signal.throwIfAborted();
  const wanted = { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1080 } };
  const stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
  try {
    video.srcObject = stream;
    video.playsInline = true;
    video.muted = true;
    await video.play();
    return await watch(video, signal);
  } finally {
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  }
}

async function watch(video, signal) {
  const canvas = new OffscreenCanvas(1, 1);
  for (;;) {
    signal.throwIfAborted();
    const { videoWidth, videoHeight } = video;
    const text = videoWidth > 0 ? readCode(grab(canvas, video, videoWidth, videoHeight)) : null;
    if (text !== null && isSlip(text)) return text;
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

async function readPixels(file) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    throw unreadable();
  }
  const shrunk = Math.min(1, MAX_SIDE / Math.max(picture.width, picture.height));
  const fit = (side) => Math.max(1, Math.round(side * shrunk));
  try {
    return grab(new OffscreenCanvas(1, 1), picture, fit(picture.width), fit(picture.height));
  } finally {
    picture.close();
  }
}

function grab(canvas, source, width, height) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true, alpha: false });
  context.drawImage(source, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

function noCode() {
  const hint = "take it in good light, from straight above";
  return new ChopmarkError("no-code", "no code of a slip was found in it", hint);
}

function unreadable() {
  const message = "this is no picture that can be read here";
  return new ChopmarkError("unreadable-picture", message, "PNG and JPEG can be");
}
