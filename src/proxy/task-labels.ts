// The labels that a request carries in X-BudgetGuard-* headers: cleaned and capped, so that neither a log,
// a metric nor a page is at the mercy of what a client sends. It does not decide whose word counts.

import type { Labels } from "../policy/task.ts";

/** Characters of one label. */
export const LABEL_LENGTH = 128;
/** Stands for what was cut off. */
const CUT_MARK = "~";

export interface Cleaned {
  readonly text: string | undefined;
  readonly isCut: boolean;
}

export interface CleanedLabels {
  readonly labels: Omit<Labels, "user"> & { readonly user: string | undefined };
  /** How many values were longer than a label may be. */
  readonly cut: number;
}

export function labelsOf(headers: ReadonlyMap<string, readonly string[]>): CleanedLabels {
  let cut = 0;
  const read = (name: string) => {
    const cleaned = clean(headers.get(`x-budgetguard-${name}`)?.[0]);
    if (cleaned.isCut) cut++;
    return cleaned.text;
  };
  const labels = {
    user: read("user"),
    workflow: read("workflow"),
    session: read("session"),
    task: read("task"),
    node: read("node"),
    project: read("project"),
    tag: read("tag"),
  };
  return { labels, cut };
}

/** `value` as Node gives it: one character a byte. Clients mean UTF-8, so that is tried first. */
export function clean(value: string | undefined): Cleaned {
  const text = readable(value ?? "")
    .replace(UNPRINTABLE, "")
    .trim();
  if (text === "") return { text: undefined, isCut: false };
  const characters = [...text];
  if (characters.length <= LABEL_LENGTH) return { text, isCut: false };
  return { text: characters.slice(0, LABEL_LENGTH - CUT_MARK.length).join("") + CUT_MARK, isCut: true };
}

/** Control characters, line and paragraph separators, and those that turn the direction of text. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu;

const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

function readable(value: string): string {
  if (/^[ -~]*$/.test(value)) return value;
  try {
    return strictUtf8.decode(Buffer.from(value, "latin1"));
  } catch {
    // Not UTF-8: then it is Latin-1, which every byte is.
    return value;
  }
}
