// "Did you mean": the known words that are a slip of the finger away from an unknown one.

const LONGEST = 64;

/** The closest candidates, best first; none where nothing is close. */
export function nearest(word: string, candidates: Iterable<string>, most = 1): readonly string[] {
  if (word.length > LONGEST) return [];
  const allowed = Math.max(1, Math.floor(word.length / 3));
  const close: { readonly candidate: string; readonly slips: number }[] = [];
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) > allowed || candidate.length > LONGEST) continue;
    const slips = distance(word.toLowerCase(), candidate.toLowerCase());
    if (slips <= allowed) close.push({ candidate, slips });
  }
  close.sort((a, b) => a.slips - b.slips);
  return close.slice(0, most).map((each) => each.candidate);
}

/** ` (did you mean "x"?)`, or nothing. */
export function didYouMean(word: string | undefined, candidates: Iterable<string>, most = 1): string {
  const words = word === undefined ? [] : nearest(word, candidates, most);
  return words.length === 0 ? "" : ` (did you mean ${words.map((each) => `"${each}"`).join(" or ")}?)`;
}

/** "a, b, c", or "none". The first few of very many. */
export function listed(words: Iterable<string>): string {
  const all = [...words];
  const few = all.slice(0, 30).join(", ");
  return all.length === 0 ? "none" : all.length > 30 ? `${few}, …` : few;
}

/** Levenshtein distance in which swapping two neighbours counts once (optimal string alignment). */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + changed);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) least = Math.min(least, (before[j - 2] ?? 0) + 1);
      row.push(least);
    }
    before = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
