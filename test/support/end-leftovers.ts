// Loaded by ava before each test file: once its tests and their teardowns are over, whatever a failed one has
// left running is ended with its process. Where nothing was left, a connection that leaks fails the file, and
// says so: ava would wait for it, without end where any test has asked for more time.

import { registerCompletionHandler } from "ava";
import { endLeftovers, watchTheEnd } from "./leftovers.ts";

/** Longer than a slow machine takes to close what is being closed. */
const LEAKS_AFTER_MS = 45_000;

registerCompletionHandler(() => {
  if (endLeftovers()) process.exit();
  watchTheEnd(LEAKS_AFTER_MS);
});
