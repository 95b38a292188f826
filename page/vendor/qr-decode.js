// Reading a QR code from a picture.
export { decodeQR } from "qr/decode.js";
