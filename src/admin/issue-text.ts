// What is wrong with one part of a request, in a sentence that says what is allowed. Schemas that have words
// of their own keep them; zod's are for programmers.

import type { z } from "zod";

type Issue = z.core.$ZodIssue;

const WORDS: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a JSON object",
};

export function issueText(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type": {
      // The issue does not carry what was sent; its message ends with it.
      const missing = issue.message.endsWith("received undefined") ? "is missing: it " : "";
      return `${missing}must be ${WORDS[issue.expected] ?? `of the type ${issue.expected}`}`;
    }
    case "invalid_value":
      return `must be one of ${issue.values.map(String).join(", ")}`;
    case "too_small":
      if (issue.origin !== "string") return `must be at least ${issue.minimum}`;
      return issue.minimum === 1 ? "must not be empty" : `must have at least ${issue.minimum} characters`;
    case "too_big":
      return issue.origin === "string"
        ? `may have at most ${issue.maximum} characters`
        : `must be at most ${issue.maximum}`;
    default:
      return issue.message;
  }
}
