// How the admin surface says no: problem+json, made in one place so that no error has another shape.

import { STATUS_CODES } from "node:http";
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { ZodError } from "zod";
import type { Problem, ProblemCode } from "../sdk/problem.ts";
import { issueText } from "./issue-text.ts";

export const PROBLEM_TYPE = "application/problem+json";

export interface Complaint {
  readonly code: ProblemCode;
  readonly detail: string;
  readonly errors?: Problem["errors"];
}

export function problemBody(status: number, { code, detail, errors }: Complaint): Problem {
  const title = STATUS_CODES[status] ?? "Error";
  const rest = errors === undefined ? {} : { errors };
  return { type: "about:blank", title, status, detail, code, ...rest };
}

export function refuse<S extends ContentfulStatusCode>(c: Context, status: S, complaint: Complaint) {
  return c.json(problemBody(status, complaint), status, { "content-type": PROBLEM_TYPE });
}

/** More than these are not listed: one reply has a limit too. */
const MOST_ERRORS = 50;

export function invalid(c: Context, part: string, error: ZodError) {
  const errors = error.issues.slice(0, MOST_ERRORS).map((issue) => ({
    path: [part, ...issue.path].join("."),
    text: issueText(issue),
  }));
  const first = errors[0];
  const detail = first === undefined ? "the request is not right" : `${first.path}: ${first.text}`;
  return refuse(c, 400, { code: "invalid", detail, errors });
}
