// What is counted while a body passes in pieces is what is read of it whole, wherever it was cut.

import test from "ava";
import fc from "fast-check";
import { ImageCount } from "../../src/proxy/image-count.ts";
import { TopLevelStream } from "../../src/proxy/json-stream.ts";

function pieces(bytes: Buffer, cuts: readonly number[]): readonly Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, index) => bytes.subarray(from, places[index] ?? bytes.length));
}

function counted(contentType: string | undefined, bytes: Buffer, cuts: readonly number[] = []): number {
  const count = new ImageCount(contentType);
  for (const piece of pieces(bytes, cuts)) count.push(piece);
  return count.images;
}

const anyCuts = fc.array(fc.nat(), { maxLength: 12 });
const anyCount = fc.integer({ min: 2, max: 99 });
const FORM = "multipart/form-data; boundary=xyz";

const anyKey = fc.oneof(fc.constantFrom("n", "samples", "model"), fc.string({ unit: "grapheme" }));
const anyValue = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.constant("x".repeat(2000)), anyCount);

test("of any JSON, in any pieces, the top level is read as JSON.parse reads it", (t) => {
  const wanted = new Set(["n", "samples", "model"]);
  const anyObject = fc.dictionary(anyKey, anyValue, { maxKeys: 8 });
  fc.assert(
    fc.property(anyObject, anyCuts, fc.constantFrom(0, 2), (object, cuts, indent) => {
      const text = JSON.stringify(object, undefined, indent);
      const parsed = Object.entries(JSON.parse(text) as Record<string, unknown>);
      const stream = new TopLevelStream(wanted);
      for (const piece of pieces(Buffer.from(text), cuts)) stream.push(piece);
      const isKept = (value: unknown) =>
        (typeof value !== "object" || value === null) && JSON.stringify(value).length <= 256;
      t.deepEqual(
        Object.fromEntries(stream.found),
        Object.fromEntries(parsed.filter(([key, value]) => wanted.has(key) && isKept(value))) as never,
      );
    }),
    { numRuns: 1000 },
  );
});

test("of a key that stands twice in JSON the last counts, and one of a nested object does not", (t) => {
  t.is(counted(undefined, Buffer.from('{"n": 2, "more": {"n": 9}, "n": 3}')), 3);
  t.is(counted(undefined, Buffer.from('{"n": 7, "n": {"n": 3}}')), 1);
  t.is(counted(undefined, Buffer.from('[{"n": 9}]')), 1);
  t.is(counted(undefined, Buffer.from('\ufeff {"\\u006e": "4"}')), 4);
});

test("a form in any pieces is counted as it is whole, behind a picture of any size too", (t) => {
  const part = (name: string, value: Buffer | string, file = "") =>
    Buffer.concat([
      Buffer.from(`--xyz\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n`),
      Buffer.from(value),
      Buffer.from("\r\n"),
    ]);
  const anyPart = fc.oneof(
    fc.record({ name: fc.constantFrom("n", "samples"), count: anyCount }),
    fc.record({ name: fc.constant("prompt"), text: fc.string() }),
    fc.record({ name: fc.constant("image"), picture: fc.uint8Array({ maxLength: 9000 }) }),
  );
  fc.assert(
    fc.property(fc.array(anyPart, { maxLength: 6 }), anyCuts, (parts, cuts) => {
      const bytes = Buffer.concat([
        ...parts.map((one) => {
          if ("count" in one) return part(one.name, `${one.count}`);
          if ("text" in one) return part(one.name, one.text);
          return part(one.name, Buffer.from(one.picture), '; filename="n.png"');
        }),
        Buffer.from("--xyz--\r\n"),
      ]);
      const said = parts.flatMap((one) => ("count" in one ? [one.count] : []));
      t.is(counted(FORM, bytes, cuts), Math.max(1, ...said));
    }),
    { numRuns: 500 },
  );
});

test("an urlencoded form in any pieces is counted as a server reads it", (t) => {
  const anyPair = fc.oneof(
    fc.tuple(fc.constantFrom("n", "samples", "%6e"), anyCount.map(String)),
    fc.tuple(fc.constantFrom("prompt", "image"), fc.string({ maxLength: 600 })),
  );
  fc.assert(
    fc.property(fc.array(anyPair, { maxLength: 6 }), anyCuts, (pairs, cuts) => {
      const text = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
      const read = new URLSearchParams(text);
      const said = [...read.getAll("n"), ...read.getAll("samples")].map(Number);
      t.is(counted("application/x-www-form-urlencoded", Buffer.from(text), cuts), Math.max(1, ...said));
    }),
    { numRuns: 500 },
  );
});

test("a count behind a picture of 8 MB is found", (t) => {
  const count = new ImageCount(FORM);
  count.push(Buffer.from('--xyz\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'));
  for (let piece = 0; piece < 128; piece += 1) count.push(Buffer.alloc(65_536, 0x2d));
  count.push(Buffer.from('\r\n--xyz\r\nContent-Disposition: form-data; name="n"\r\n\r\n12\r\n--xyz--\r\n'));
  t.is(count.images, 12);
});
