// Whether a file is still the one that was read: by what no write, rename or swapped link leaves as it was.

import { statSync } from "node:fs";

/** Of the file at the end of all links; undefined while there is none. */
export function identityOf(path: string): string | undefined {
  try {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stat && `${stat.dev} ${stat.ino} ${stat.size} ${stat.ctimeNs}`;
  } catch (error) {
    // A link that leads in a circle, or a folder that may not be entered: reading it will tell.
    return error instanceof Error ? error.message : String(error);
  }
}
