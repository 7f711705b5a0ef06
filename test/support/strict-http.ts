// HTTP/1.1 as RFC 9112 has it at its strictest, written apart from Node's and undici's parsers to judge what
// crossed them: what is not exactly right is `broken`, and nothing behind it is a message.

export interface Message {
  /** "POST /v1/infer HTTP/1.1" or "HTTP/1.1 200 OK". */
  readonly start: string;
  /** In their order, with their letters. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

export interface Judged {
  readonly whole: readonly Message[];
  /** Of what follows the whole ones. */
  readonly rest: "nothing" | "incomplete" | "broken";
}

export interface Stream {
  readonly bytes: Buffer;
  /** The sender ended it in order: that completes a reply that has no other end. */
  readonly hasEnded: boolean;
  /** Takes a bare line feed in a head for the end of a line, which a recipient may (RFC 9112 §2.2). */
  readonly forgivesLineFeeds?: boolean;
}

export function judgeRequests({ bytes }: Pick<Stream, "bytes">): Judged {
  return judge(
    bytes,
    { start: REQUEST, end: CRLFS, line: "\r\n" },
    (head) => framingOf(head, false) ?? { kind: "length", bytes: 0 },
  );
}

/** `methods`: what was asked for, in order; a reply to HEAD has no body. Interim replies are left out. */
export function judgeReplies(stream: Stream, methods: readonly string[]): Judged {
  const { bytes, hasEnded, forgivesLineFeeds = false } = stream;
  const lines = forgivesLineFeeds ? { end: /\r?\n\r?\n/g, line: /\r?\n/ } : { end: CRLFS, line: "\r\n" };
  let asked = 0;
  // A reason phrase that came in pieces is not seen whole by undici, nor then passed on: any is forgiven.
  const start = forgivesLineFeeds ? /^HTTP\/1\.[01] \d{3}(?: .*)?$/s : REPLY;
  return judge(bytes, { start, ...lines }, (head) => {
    const status = Number(head.start.split(" ")[1]);
    if (status === 101) return "broken";
    if (status < 200) return "interim";
    const method = methods[asked++];
    if (method === undefined) return "broken";
    if (framingOf(head, true) === "broken") return "broken";
    if (method === "HEAD" || status === 204 || status === 304) return { kind: "length", bytes: 0 };
    return framingOf(head, true) ?? { kind: "close", hasEnded };
  });
}

export function valuesOf({ headers }: Pick<Message, "headers">, name: string): string[] {
  return headers.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value);
}

interface Grammar {
  readonly start: RegExp;
  /** Of a head. */
  readonly end: RegExp;
  readonly line: RegExp | string;
}
type Head = Omit<Message, "body">;
type Framing =
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" }
  | { readonly kind: "close"; readonly hasEnded: boolean };

const CRLFS = /\r\n\r\n/g;
const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const TEXT = "[\\t -~\\x80-\\xff]*";
/** More than one space around the target is forgiven (RFC 9112 §3): what is sent on has one. */
const REQUEST = new RegExp(`^${TOKEN} +[!-~\\x80-\\xff]+ +HTTP/1\\.[01]$`);
/** What an interim reply calls itself is nobody's: it goes no further. */
const REPLY = new RegExp(`^HTTP/1\\.[01] (?:1\\d\\d .*|\\d{3}(?: ${TEXT})?)$`, "s");
const HEADER = new RegExp(`^(${TOKEN}):[ \\t]*(${TEXT}?)[ \\t]*$`);
const CHUNK = new RegExp(`^([0-9A-Fa-f]{1,8})(?:;${TEXT})?$`);

function judge(
  bytes: Buffer,
  grammar: Grammar,
  framing: (head: Head) => Framing | "broken" | "interim",
): Judged {
  const text = bytes.toString("latin1");
  const whole: Message[] = [];
  for (let at = 0; ; ) {
    // Line ends before a message are forgiven (RFC 9112 §2.2).
    while (text[at] === "\r" || text[at] === "\n") at++;
    if (at >= text.length) return { whole, rest: "nothing" };
    grammar.end.lastIndex = at;
    const found = grammar.end.exec(text);
    if (found === null) return { whole, rest: "incomplete" };
    const end = found.index + found[0].length;
    const head = readHead(text.slice(at, found.index), grammar);
    const framed = head === undefined ? "broken" : framing(head);
    if (head === undefined || framed === "broken") return { whole, rest: "broken" };
    if (framed === "interim") {
      at = end;
      continue;
    }
    const body = readBody(text, end, framed);
    if (typeof body === "string") return { whole, rest: body };
    whole.push({ ...head, body: Buffer.from(body.content, "latin1") });
    at = body.end;
  }
}

function readHead(text: string, { start, line }: Grammar): Head | undefined {
  const [first = "", ...lines] = text.split(line);
  const fields = lines.map((line) => HEADER.exec(line));
  if (!start.test(first) || fields.includes(null)) return undefined;
  return { start: first, headers: fields.map((field) => [field?.[1] ?? "", field?.[2] ?? ""] as const) };
}

/** Undefined where the head says nothing of its length. */
function framingOf(head: Head, isReply: boolean): Framing | "broken" | undefined {
  const lengths = valuesOf(head, "content-length");
  const codings = valuesOf(head, "transfer-encoding");
  if (lengths.length + codings.length > 1) return "broken";
  const [length, coding] = [lengths[0], codings[0]];
  if (coding !== undefined) {
    const isOld = (isReply ? head.start.slice(0, 8) : head.start.slice(-8)) === "HTTP/1.0";
    return coding.toLowerCase() === "chunked" && !isOld ? { kind: "chunked" } : "broken";
  }
  if (length === undefined) return undefined;
  return /^\d{1,15}$/.test(length) ? { kind: "length", bytes: Number(length) } : "broken";
}

function readBody(
  text: string,
  from: number,
  framing: Framing,
): { content: string; end: number } | "incomplete" | "broken" {
  if (framing.kind === "close") {
    return framing.hasEnded ? { content: text.slice(from), end: text.length } : "incomplete";
  }
  if (framing.kind === "length") {
    const end = from + framing.bytes;
    return end > text.length ? "incomplete" : { content: text.slice(from, end), end };
  }
  let content = "";
  for (let at = from; ; ) {
    const eol = text.indexOf("\r\n", at);
    if (eol === -1) return "incomplete";
    const size = CHUNK.exec(text.slice(at, eol))?.[1];
    if (size === undefined) return "broken";
    const bytes = Number.parseInt(size, 16);
    if (bytes === 0) return trailersEnd(text, eol + 2, content);
    const end = eol + 2 + bytes;
    if (text.length < end + 2) return "incomplete";
    if (text.slice(end, end + 2) !== "\r\n") return "broken";
    content += text.slice(eol + 2, end);
    at = end + 2;
  }
}

function trailersEnd(text: string, from: number, content: string) {
  for (let at = from; ; ) {
    const eol = text.indexOf("\r\n", at);
    if (eol === -1) return "incomplete";
    if (eol === at) return { content, end: eol + 2 };
    if (!HEADER.test(text.slice(at, eol))) return "broken";
    at = eol + 2;
  }
}
