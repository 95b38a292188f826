// Compiles ChopmarkAnchor.sol into daemon/chopmark/anchor/contract.json, which is committed: a
// gateway needs no compiler. The same source gives the same bytes on any machine; a test compares.
// `make contract` runs it.
//
//   node build.mjs [FILE]   write another file

import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import solc from "solc";

const here = dirname(fileURLToPath(import.meta.url));
const target = resolve(process.argv[2] ?? join(here, "../daemon/chopmark/anchor/contract.json"));
const source = "ChopmarkAnchor.sol";

const input = {
  language: "Solidity",
  sources: { [source]: { content: readFileSync(join(here, source), "utf8") } },
  settings: {
    evmVersion: "london", // no PUSH0, which FISCO BCOS chains may not know
    optimizer: { enabled: true, runs: 200 },
    metadata: { appendCBOR: false, bytecodeHash: "none" }, // nothing but code
    outputSelection: {
      "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "evm.methodIdentifiers"] },
    },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
for (const problem of output.errors ?? []) console.error(problem.formattedMessage);
if (output.errors?.length) process.exit(1); // a warning too

const { abi, evm } = output.contracts[source].ChopmarkAnchor;
const made = {
  contract: "ChopmarkAnchor",
  compiler: solc.version(),
  settings: { evmVersion: input.settings.evmVersion, optimizer: input.settings.optimizer, metadata: input.settings.metadata },
  abi,
  methods: evm.methodIdentifiers,
  bytecode: evm.bytecode.object,
  deployed: evm.deployedBytecode.object,
};
writeFileSync(target, `${JSON.stringify(made, null, 1)}\n`);
