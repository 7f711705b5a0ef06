// Writes a whole file anew in the place of one that is there: nobody ever reads half of it, and a link stays
// a link. What keeps it from being written is told in a sentence.

import { randomUUID } from "node:crypto";
import { chmod, open, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** By an atomic rename beside it, so that nobody ever reads half of it. What keeps it from being written. */
export async function replaceFile(path: string, text: string): Promise<string | undefined> {
  let beside: string | undefined;
  try {
    // A link stays a link, and its target keeps its mode.
    const file = await realpath(path);
    const { mode } = await stat(file);
    if ((mode & 0o222) === 0) return `${path} is read-only: edit it where it comes from`;
    beside = join(dirname(file), `.${basename(file)}.${randomUUID()}`);
    const handle = await open(beside, "wx", mode & 0o777);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    // The mask of this process may have taken some of it away.
    await chmod(beside, mode & 0o777);
    await rename(beside, file);
    return undefined;
  } catch (error) {
    if (beside !== undefined) await rm(beside, { force: true });
    if (error instanceof Error && "code" in error)
      return `${path} cannot be written (${error.code}): edit it where it comes from`;
    throw error;
  }
}
