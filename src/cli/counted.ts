// "1 request", "2 requests": a number with what it counts.

export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
