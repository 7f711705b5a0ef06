// Whether a reply's head that a parser let through is one that may be shown to a client. It knows nothing of
// what is in the reply.

/** What is wrong with it, in a sentence; undefined where nothing is. */
export function malformation(reason: string, headers: readonly string[]): string | undefined {
  if (!/^[\t -~\u0080-\uffff]*$/.test(reason)) return "its status line is not HTTP";
  return isOddlyCoded(headers) ? "its reply is coded in a way that nobody asked for" : undefined;
}

/** A reason phrase is text that nobody may be led on by. */
export function printable(reason: string): string {
  return reason.replace(/[^\t -~]/g, "?").slice(0, 200);
}

/** undici unpacks chunks and leaves any other coding in: such a body is not what its headers would say. */
function isOddlyCoded(headers: readonly string[]): boolean {
  return headers.some(
    (name, at) =>
      at % 2 === 0 &&
      name.toLowerCase() === "transfer-encoding" &&
      headers[at + 1]?.trim().toLowerCase() !== "chunked",
  );
}
