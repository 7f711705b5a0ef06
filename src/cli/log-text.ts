// The daemon's log as lines for people, where standard output is a terminal. Programs get the JSON as it is.

import { printableDeep } from "./printable.ts";
import { paint, type Screen, type Style } from "./terminal.ts";

type Fields = Readonly<Record<string, unknown>>;

/** `lines` are JSON objects, one a line, as pino and the access log write them. */
export function logText(lines: string, screen: Screen): string {
  const all = lines.trimEnd().split("\n");
  return all.map((line) => lineText(printableDeep(JSON.parse(line) as Fields), screen)).join("\n");
}

function lineText(fields: Fields, screen: Screen): string {
  const time = paint(screen, "dim", String(fields.time).slice(11, 19));
  if (fields.msg === "request") return `${time} ${requestText(fields)}`;
  const { err, changes, problems } = fields;
  const cause = err === undefined ? "" : `: ${(err as { message?: string }).message}`;
  const below = [changes, problems].flatMap((each) => (Array.isArray(each) ? (each as unknown[]) : []));
  const [first, ...others] = [`${fields.msg}${cause}`, ...below.map((each) => `         ${each}`)];
  const style = styleOf(fields.level);
  const told = style === undefined ? first : paint(screen, style, first ?? "");
  return [`${time} ${told}`, ...others].join("\n");
}

/** pino's levels: 30 info, 40 warn, 50 error. */
function styleOf(level: unknown): Style | undefined {
  if (typeof level !== "number" || level < 40) return undefined;
  return level < 50 ? "yellow" : "red";
}

function requestText(fields: Fields): string {
  const { request, outcome, model, upstream, user, status, charged_usd, duration_ms, method, path } = fields;
  const what = model === undefined ? `${method} ${path}` : `${user ?? "somebody"} asked for ${model}`;
  const where = upstream === undefined ? "" : ` by ${upstream}`;
  const answered = status === undefined ? "" : `, ${status}`;
  const cost = charged_usd === undefined ? "" : `, ${charged_usd} USD`;
  return `${request} ${what}: ${outcome}${where}${answered}${cost}, ${duration_ms} ms`;
}
