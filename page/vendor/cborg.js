// Reading CBOR; core/cbor.js says how strictly.
export { decode } from "cborg";
