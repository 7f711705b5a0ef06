// node tools/write-transcript.ts: runs the demo and puts what it says into the README.

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { README, withTranscript } from "../test/support/readme.ts";

const command = fileURLToPath(new URL("../bin/budgetguard.js", import.meta.url));
const said = execFileSync(process.execPath, [command, "demo", "--once"], { encoding: "utf8" });
writeFileSync(README, withTranscript(readFileSync(README, "utf8"), said));
