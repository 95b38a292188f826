// Prints the ids of Wycheproof's cases that the page's core judges otherwise, for
// tests/conformance/test_wycheproof.py: node wycheproof.mjs FOLDER

import { readFileSync } from "node:fs";

import { fromHex } from "../../daemon/chopmark/api/web/js/core/bytes.js";
import { ECDSA_P256, ED25519, VerifierKey } from "../../daemon/chopmark/api/web/js/core/keys.js";

const FILES = [
  ["ecdsa_secp256r1_sha256_test.json", ECDSA_P256, ({ publicKeyDer }) => publicKeyDer],
  ["ed25519_test.json", ED25519, ({ publicKey }) => publicKey.pk],
];

const wrong = FILES.flatMap(([file, type, publicOf]) => {
  const { testGroups } = JSON.parse(readFileSync(`${process.argv[2]}/${file}`, "utf8"));
  return testGroups.flatMap((group) => {
    const key = new VerifierKey("wycheproof", type, fromHex(publicOf(group)));
    const isGood = ({ msg, sig }) => key.verify(fromHex(msg), fromHex(sig)) !== null;
    return group.tests.filter((one) => isGood(one) !== (one.result === "valid"));
  });
});
process.stdout.write(JSON.stringify(wrong.map(({ tcId, comment }) => [tcId, comment])));
