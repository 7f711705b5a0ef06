// Whether a file that credentials name is on this machine. It is not opened.

import { statSync } from "node:fs";

/** False for anything that cannot be looked at. */
export function existsFile(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
  } catch (error) {
    // A folder on the way may not be entered, or the path is none.
    if (error instanceof Error && "code" in error) return false;
    throw error;
  }
}
