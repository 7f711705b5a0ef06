// The scanner agrees with JSON.parse on whole texts, and on cut-off ones never says what the whole does not.

import test from "ava";
import fc from "fast-check";
import { readFacts } from "../../src/proxy/body-facts.ts";
import { findJsonFault } from "../../src/proxy/json-fault.ts";
import { scanTopLevel } from "../../src/proxy/json-scan.ts";

const NAMES = ["model", "width", "n", "stream"];
const WANTED = new Set(NAMES);
const anyKey = fc.oneof(fc.constantFrom(...NAMES), fc.string({ unit: "grapheme" }));
const anyObject = fc.dictionary(anyKey, fc.jsonValue({ maxDepth: 3 }), { maxKeys: 8 });
const anySpace = fc.constantFrom("", " ", "\n\t", "\r\n  ");

function scalarsOf(object: Record<string, unknown>): Map<string, unknown> {
  const wanted = Object.entries(object).filter(([key]) => WANTED.has(key));
  return new Map(wanted.filter(([, value]) => typeof value !== "object" || value === null));
}

function scan(text: string | Uint8Array): Map<string, unknown> {
  return new Map([...scanTopLevel(Buffer.from(text), WANTED)].map(([key, found]) => [key, found.value]));
}

test("the scanner reads of any JSON object what JSON.parse reads", (t) => {
  fc.assert(
    fc.property(anyObject, anySpace, (object, space) => {
      const text = `${space}${JSON.stringify(object, undefined, space.length)}${space}`;
      const parsed = JSON.parse(text) as Record<string, unknown>;
      t.deepEqual(sorted(scan(text)), sorted(scalarsOf(parsed)));
    }),
    { numRuns: 500 },
  );
});

test("of JSON that is cut off anywhere the scanner tells nothing but what stands in the whole", (t) => {
  fc.assert(
    fc.property(anyObject, fc.nat(), (object, cut) => {
      const bytes = Buffer.from(JSON.stringify(object));
      const whole = scalarsOf(JSON.parse(bytes.toString()) as Record<string, unknown>);
      for (const [key, value] of scan(bytes.subarray(0, cut % (bytes.length + 1)))) {
        t.true(whole.has(key) && whole.get(key) === value);
      }
    }),
    { numRuns: 500 },
  );
});

test("the fault finder finds a fault exactly where JSON.parse throws", (t) => {
  const mutated = fc
    .tuple(fc.jsonValue({ maxDepth: 3 }), fc.nat(), fc.constantFrom(...'{}[],:"\\x0-.e \n'), fc.boolean())
    .map(([value, at, char, replaces]) => {
      const text = JSON.stringify(value);
      const place = at % (text.length + 1);
      return text.slice(0, place) + char + text.slice(replaces ? place + 1 : place);
    });
  fc.assert(
    fc.property(mutated, (text) => {
      const bytes = Buffer.from(text);
      t.is(findJsonFault(bytes) === undefined, parses(bytes.toString()), text);
    }),
    { numRuns: 2000 },
  );
});

test("a fault is told by line and column", (t) => {
  t.deepEqual(findJsonFault(Buffer.from('{\n  "width": 10,\n  "height" 20}')), { line: 3, column: 12 });
  t.deepEqual(findJsonFault(Buffer.from('{"a": 1')), { line: 1, column: 8 });
  t.deepEqual(findJsonFault(Buffer.from('{"a": x}')), { line: 1, column: 7 });
  t.is(findJsonFault(Buffer.from(`${"[".repeat(20_000)}${"]".repeat(20_000)}`)), undefined);
});

const NODE_BODY =
  '{"width": 1024, "height": 768, "text_prompts": [{"text": "a \\"model\\": 7"}], "mode": "base", "seed": 7, "steps": 4}';

test("the body that a ComfyUI NIM node sends is read", (t) => {
  const read = facts(NODE_BODY);
  t.like(read.work, { width: 1024, height: 768, steps: 4, images: 1, stream: false });
  t.is(read.model, undefined);
});

test("images are samples or n, never less than one, and a number in quotes counts", (t) => {
  t.is(facts('{"samples": 4}').work.images, 4);
  t.is(facts('{"n": "3"}').work.images, 3);
  for (const said of ["4", " 4 ", "+4", "4.0", "0_4", "00000000000000000004"])
    t.is(facts(`{"n": "${said}"}`).work.images, 4, said);
  for (const said of ["", "four", "4_", "_4", "4__0", "0x4", "4e0", "-4", "99999999999999999999"])
    t.is(facts(`{"n": "${said}"}`).work.images, 1, said);
  t.is(facts('{"n": 0}').work.images, 1);
  t.is(facts('{"n": -5}').work.images, 1);
  t.is(facts('{"n": 2.5}').work.images, 1);
  t.is(facts('{"n": 1e300}').work.images, 1);
  t.is(facts('{"samples": 2, "n": 3}').work.images, 3);
});

test("images of a form are its n or samples, whatever else stands in it", (t) => {
  const form = (...parts: readonly string[]) => {
    const text = [...parts.map((part) => `--xyz\r\n${part}\r\n`), "--xyz--\r\n"].join("");
    const contentType = 'multipart/form-data; boundary="xyz"';
    const read = readFacts({
      bytes: Buffer.from(text),
      isWhole: true,
      contentType,
      contentEncoding: undefined,
    });
    return read.kind === "facts" ? read.work.images : undefined;
  };
  const field = (name: string, value: string) =>
    `Content-Disposition: form-data; name="${name}"\r\n\r\n${value}`;
  t.is(form(field("n", "4")), 4);
  t.is(form(field("prompt", 'a name="n" 7'), field("samples", "3")), 3);
  t.is(
    form(field("n", "2"), field("n", "5"), field("n", "1")),
    5,
    "some servers take the first, some the last",
  );
  t.is(form("content-disposition: form-data; name=n\r\nContent-Type: text/plain\r\n\r\n6"), 6);
  t.is(form(field("n", "four")), 1);
  t.is(form(field('image"; filename="n.png', "4")), 1);
});

test("images of an urlencoded form are its n or samples", (t) => {
  const form = (text: string) => {
    const contentType = "application/x-www-form-urlencoded; charset=utf-8";
    const read = readFacts({
      bytes: Buffer.from(text),
      isWhole: true,
      contentType,
      contentEncoding: undefined,
    });
    return read.kind === "facts" ? read.work.images : undefined;
  };
  t.is(form("prompt=a+cat&n=4"), 4);
  t.is(form("prompt=n%3D9&%6E=%33&samples=2"), 3);
  t.is(form("prompt=n"), 1);
});

test("more images than can be are counted as the most, and more tokens as if nothing was said", (t) => {
  t.is(facts('{"n": 9007199254740991}').work.images, 10_000);
  t.is(facts('{"samples": 10001}').work.images, 10_000);
  t.is(facts('{"max_tokens": 100000000}').work.maxTokens, 100_000_000);
  t.is(facts('{"max_tokens": 9007199254740991}').work.maxTokens, undefined);
  t.is(facts('{"max_tokens": 9007199254740991, "max_completion_tokens": 7}').work.maxTokens, 7);
});

test("where a key stands twice the last one counts, whatever it is", (t) => {
  t.is(facts('{"model": "a", "mod\\u0065l": "b"}').model?.name, "b");
  t.is(facts('{"model": "a", "model": {}}').model, undefined);
});

test("a whole body that says JSON and is none is invalid; a truncated or other one is not judged", (t) => {
  const broken = Buffer.from('{"width": 10,}');
  const body = { bytes: broken, isWhole: true, contentType: "application/json", contentEncoding: undefined };
  t.deepEqual(readFacts(body), { kind: "invalid", fault: { line: 1, column: 14 } });
  t.is(readFacts({ ...body, isWhole: false }).kind, "facts");
  t.is(readFacts({ ...body, contentType: "multipart/form-data; boundary=x" }).kind, "facts");
  t.is(readFacts({ ...body, contentEncoding: "gzip" }).kind, "facts");
  t.is(readFacts({ ...body, bytes: Buffer.alloc(0) }).kind, "facts");
  t.is(readFacts({ ...body, bytes: Buffer.from('\ufeff{"n": 2}') }).kind, "facts");
});

function facts(text: string) {
  const read = readFacts({
    bytes: Buffer.from(text),
    isWhole: true,
    contentType: "application/json",
    contentEncoding: undefined,
  });
  if (read.kind !== "facts") throw new Error("the body was taken for invalid");
  return read;
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function sorted(map: ReadonlyMap<string, unknown>): [string, unknown][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => [key, value === 0 ? 0 : value]);
}
