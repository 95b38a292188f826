// Reading CBOR; core/cbor.js says how strictly.
export { Tokenizer, decode } from "cborg";
