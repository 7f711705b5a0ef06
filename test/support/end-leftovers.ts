// Loaded by ava before each test file: once its tests and their teardowns are over, whatever a failed one has
// left running is ended with its process. Where nothing was left, a connection that leaks still shows.

import { registerCompletionHandler } from "ava";
import { endLeftovers } from "./leftovers.ts";

registerCompletionHandler(() => {
  if (endLeftovers()) process.exit();
});
