/** A ZIP archive of small files, stored as they are (APPNOTE.TXT 6.3, without ZIP64). */

const [LOCAL, CENTRAL, END] = [0x04034b50, 0x02014b50, 0x06054b50];
const VERSION = 20;
/** Names are UTF-8 (general purpose bit 11). */
const UTF8 = 0x0800;
/** Entries beyond which an archive would need ZIP64. */
export const MOST = 65_535;

/**
 * @param {{name: string, bytes: Uint8Array}[]} files
 * @param {Date} when written into each entry, in local time as the format has it
 * @returns {Blob}
 */
export function zip(files, when) {
  const parts = [];
  const directory = [];
  let at = 0;
  for (const { name, bytes } of files) {
    const path = new TextEncoder().encode(name);
    const common = [VERSION, UTF8, 0, dosTime(when), dosDate(when)];
    const sizes = [crc32(bytes), bytes.length, bytes.length];
    const head = record([[4, LOCAL], ...words(common), ...longs(sizes), ...words([path.length, 0])]);
    const entry = record([
      [4, CENTRAL], [2, VERSION], ...words(common), ...longs(sizes),
      ...words([path.length, 0, 0, 0, 0]), ...longs([0, at]),
    ]);
    parts.push(head, path, bytes);
    directory.push(entry, path);
    at += head.length + path.length + bytes.length;
  }
  const size = directory.reduce((sum, one) => sum + one.length, 0);
  const end = record([[4, END], ...words([0, 0, files.length, files.length]), ...longs([size, at]), [2, 0]]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

const words = (values) => values.map((value) => [2, value]);
const longs = (values) => values.map((value) => [4, value]);

/** Numbers, the least byte first. */
function record(fields) {
  const bytes = new Uint8Array(fields.reduce((sum, [width]) => sum + width, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [width, value] of fields) {
    if (width === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += width;
  }
  return bytes;
}

const dosTime = (when) => (when.getHours() << 11) | (when.getMinutes() << 5) | (when.getSeconds() >> 1);
const dosDate = (when) => ((when.getFullYear() - 1980) << 9) | ((when.getMonth() + 1) << 5) | when.getDate();

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 0xff] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}
