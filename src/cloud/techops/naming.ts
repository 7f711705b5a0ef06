// Names out of TechOps' files as ids of a policy: lower case, short, each once. The same files give the same
// ids in whatever order they are read.

const LONGEST = 40;

/** "FLUX Dev" → "flux-dev"; "" where nothing is left. */
export function slug(name: string): string {
  const plain = name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/\p{M}/gu, "")
    .replace(/[^a-z0-9.]+/g, "-");
  return trimmed(plain.replace(/^[-.]+/, "").slice(0, LONGEST));
}

/** Ids that are given out once. */
export class Ids {
  readonly #taken = new Set<string>();

  take(parts: readonly string[], otherwise: string): string {
    const wanted = slug(parts.filter((part) => part !== "").join("-")) || otherwise;
    let id = wanted;
    for (let turn = 2; this.#taken.has(id); turn++) {
      const end = `-${turn}`;
      id = trimmed(wanted.slice(0, LONGEST - end.length)) + end;
    }
    this.#taken.add(id);
    return id;
  }
}

function trimmed(name: string): string {
  return name.replace(/[-.]+$/, "");
}
