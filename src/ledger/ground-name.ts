// Reads back what the name of a balance says that it counts: "usd|daily/1/UTC|all|user:["ann"]|model". It
// shares no code with what makes these names, so that a recount does not repeat its mistakes.

export interface GroundName {
  readonly unit: string;
  /** "daily", "per_task" and so on. */
  readonly period: string;
  /** Container money does not count. */
  readonly requestsOnly: boolean;
  readonly when: readonly (readonly [scope: string, values: readonly string[]])[];
  /** The scope that it is split by. */
  readonly per: string | undefined;
}

/** Undefined for what is no such name. */
export function readGround(key: string): GroundName | undefined {
  const head = /^([a-z]+)\|([a-z_]+)\/[^|]*\|(all|requests)\|/.exec(key);
  if (head === null) return undefined;
  const [start, unit = "", period = "", idle] = head;
  const when = readWhen(key, start.length);
  if (when === undefined) return undefined;
  const per = key.slice(when.end);
  if (!/^[a-z_]*$/.test(per)) return undefined;
  return {
    unit,
    period,
    requestsOnly: idle === "requests",
    when: when.pairs,
    per: per === "" ? undefined : per,
  };
}

type Pairs = [string, readonly string[]][];

/** `scope:[…];scope:[…]|`: values may hold any sign, so that the lists are walked string by string. */
function readWhen(key: string, from: number): { readonly pairs: Pairs; readonly end: number } | undefined {
  const pairs: Pairs = [];
  const part = /([a-z_]+):(\[(?:"(?:[^"\\]|\\.)*",?)*\])([;|])/sy;
  if (key[from] === "|") return { pairs, end: from + 1 };
  part.lastIndex = from;
  for (let found = part.exec(key); found !== null; found = part.exec(key)) {
    const [, scope = "", values = "[]", closing] = found;
    pairs.push([scope, JSON.parse(values) as string[]]);
    if (closing === "|") return { pairs, end: part.lastIndex };
  }
  return undefined;
}
