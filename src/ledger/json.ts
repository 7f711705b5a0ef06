// JSON that keeps bigints: amounts go in and come out exact. A tagged object, so that no label that a
// client sends can pretend to be an amount.

const TAG = "$bigint";

export function encode(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "bigint" ? { [TAG]: inner.toString() } : inner,
  );
}

export function decode(text: string): unknown {
  return JSON.parse(text, (_key, inner: unknown) => {
    if (typeof inner !== "object" || inner === null || !(TAG in inner)) return inner;
    const digits = inner[TAG];
    return typeof digits === "string" ? BigInt(digits) : inner;
  });
}
