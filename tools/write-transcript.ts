// node tools/write-transcript.ts: runs the demo and puts what it says into the README.

import { readFileSync, writeFileSync } from "node:fs";
import { demoTranscript, README, withTranscript } from "../test/support/readme.ts";

const said = await demoTranscript();
writeFileSync(README, withTranscript(readFileSync(README, "utf8"), said));
