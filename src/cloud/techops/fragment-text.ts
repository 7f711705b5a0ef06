// A fragment as YAML with its comments, or the lines of one entry for a file that is there already.

import { type Entry, type Fragment, SECTIONS, type Value } from "./fragment.ts";

/** Without `version`: it is a part of a policy. */
export function fragmentText(fragment: Fragment): string {
  const parts = SECTIONS.flatMap((section) => {
    const entries = fragment[section];
    if (entries.length === 0) return [];
    const isEmpty = entries.every(({ lacks }) => lacks.length > 0);
    // A key with nothing but comments below it is an absent section, and no mistake.
    const lines = entries.flatMap((entry) => entryLines(entry).map((line) => `  ${line}`));
    return [[isEmpty ? `# ${section}:` : `${section}:`, ...lines].join("\n")];
  });
  return `${parts.join("\n\n")}\n`;
}

/** Without indent; of an entry that lacks something every line is a comment. */
export function entryLines({ id, value, remarks, hints, lacks }: Entry): readonly string[] {
  const lines = Object.entries(value).map(([key, held]) => {
    const remark = remarks[key];
    return `  ${key}: ${flow(held)}${remark === undefined ? "" : `   # ${remark}`}`;
  });
  const below = hints.map((hint) => `  # ${hint}`);
  if (lacks.length === 0) return [`${flow(id)}:`, ...lines, ...below];
  const open = lacks.map((lack) => `#   ${lack}`);
  return [
    `# ${flow(id)}:   # fill in the last lines, and remove the #`,
    ...lines.map((line) => `# ${line}`),
    ...open,
  ];
}

/** Plain where YAML cannot take it for anything else; else JSON, which YAML contains. */
export function flow(value: Value): string {
  if (typeof value === "number") return String(value);
  if (typeof value === "string") {
    const isPlain =
      /^[a-z][a-z0-9._/+-]*$/i.test(value) && !/^(?:true|false|null|yes|no|on|off|[yn])$/i.test(value);
    return isPlain ? value : JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  const fields = Object.entries(value).map(([key, held]) => `${key}: ${flow(held)}`);
  return `{ ${fields.join(", ")} }`;
}
