// Loaded by ava before each test file. Where BUDGETGUARD_FILE_NOTES names a file it notes there when a test file
// begins and when all of it is over: whoever cuts a run off can say what had not ended.

import { appendFileSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import test, { registerCompletionHandler } from "ava";

const notes = process.env.BUDGETGUARD_FILE_NOTES;
if (notes !== undefined) {
  const file = relative(process.cwd(), fileURLToPath(test.meta.file));
  appendFileSync(notes, `began ${file}\n`);
  registerCompletionHandler(() => appendFileSync(notes, `ended ${file}\n`));
}
