// Reads single short fields out of multipart/form-data that may be cut off anywhere (RFC 7578), as
// json-scan.ts does of JSON. It does not judge, and looks into no file.

import type { Found } from "./json-scan.ts";

/** Undefined where the type is another. */
export function boundaryOf(contentType: string | undefined): string | undefined {
  if (!/^\s*multipart\/form-data\s*;/i.test(contentType ?? "")) return undefined;
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType ?? "") ?? [];
  return quoted ?? plain;
}

/** The wanted fields. Of one that stands several times the largest counts: some servers take the first. */
export function formFields(bytes: Buffer, boundary: string, wanted: ReadonlySet<string>): Map<string, Found> {
  const found = new Map<string, Found>();
  const parts = bytes.toString("latin1").split(`--${boundary}`);
  // The last one is the end, or cut off.
  for (const part of parts.slice(1, -1)) {
    const [, head = "", value = ""] =
      /^[^\n]*\n((?:[^\r\n]+\r?\n)+)\r?\n([\s\S]{0,64}?)\r?\n$/.exec(part) ?? [];
    const [, quoted, plain] = DISPOSITION.exec(head) ?? [];
    const name = quoted ?? plain ?? "";
    const before = found.get(name)?.value;
    if (!wanted.has(name)) continue;
    if (before === undefined || !(Number(before) >= Number(value)))
      found.set(name, { value, start: 0, end: 0 });
  }
  return found;
}

const DISPOSITION = /^content-disposition:[^\n]*?;\s*name=(?:"([^"\n]*)"|([^\s;"]+))/im;
