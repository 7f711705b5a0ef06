import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { readConfig } from "../../../src/cloud/techops/config-file.ts";
import { DEEPEST, LARGEST_BYTES, readJson, readJsonFile } from "../../../src/cloud/techops/json-file.ts";
import { BACKEND, DEPLOYMENTS, techopsJson, techopsPath } from "../../support/techops-files.ts";

const one = { "FLUX Dev": { aws: [{ url: "http://10.0.0.1:8000", gpu_tier: "A10G" }] } };
const FLUX = { node: "FLUX Dev", provider: "aws", url: "http://10.0.0.1:8000", tier: "a10g" } as const;

function check(t: ExecutionContext, value: unknown, expected: object, ...notes: readonly RegExp[]) {
  const read = readConfig(value);
  t.like(read, expected);
  t.is(read.notes.length, notes.length, read.notes.join("\n"));
  for (const [index, note] of notes.entries()) t.regex(read.notes[index] ?? "", note);
}

test("the real tool's files have 88 endpoints, and nothing odd", (t) => {
  for (const name of [BACKEND, "budgetguard_artists_config.json"]) {
    const read = readConfig(techopsJson(name));
    t.is(read.endpoints.length, 88);
    t.deepEqual(read.notes, []);
    t.is(read.claimed?.get("gcp"), name === BACKEND);
    t.is(read.credentials.kind, name === BACKEND ? "encrypted" : "none");
  }
});

test("A58, X31: endpoints are found under either key, and where the whole file is the mapping", (t) => {
  check(t, { version: "1.0", nim_endpoints: one }, { endpoints: [FLUX] });
  check(t, { endpoints: one }, { endpoints: [FLUX] }, /under endpoints/);
  check(t, one, { endpoints: [FLUX] }, /whole file is read as that mapping/);
  check(t, { ...one, mode: "studio-wide" }, { endpoints: [FLUX] }, /whole file/);
});

test("an address by itself, by tier, or under another key is read", (t) => {
  const of = (aws: unknown) => ({ nim_endpoints: { "FLUX Dev": { aws } } });
  const url = FLUX.url;
  check(t, of([url]), { endpoints: [{ ...FLUX, tier: undefined }] });
  check(t, of(url), { endpoints: [{ ...FLUX, tier: undefined }] });
  check(t, of({ url, gpu_tier: "a10g" }), { endpoints: [FLUX] }, /one mapping/);
  check(t, of({ a10g: { endpoint: url } }), { endpoints: [FLUX] }, /one mapping/);
  check(t, of({ a10g: [url] }), { endpoints: [FLUX] }, /one mapping/);
});

test("X28: providers are known in both spellings, and others become other", (t) => {
  const of = (provider: string) => ({ nim_endpoints: { A: { [provider]: ["http://a:1"] } } });
  check(t, of("nvidia_hosted"), { endpoints: [{ provider: "nvidia-hosted" }] });
  check(t, of("NVIDIA-Hosted"), { endpoints: [{ provider: "nvidia-hosted" }] });
  check(t, of("runpod"), { endpoints: [{ provider: "other" }] }, /"runpod" is no provider/);
});

test("an address that no upstream may have is left out, and not shown", (t) => {
  for (const url of ["http://user:secret@a/", "http://169.254.169.254/", "ftp://a", "secret", 7, null, {}]) {
    const read = readConfig({ nim_endpoints: { A: { aws: [{ url }] } } });
    t.deepEqual(read.endpoints, []);
    t.regex(read.notes.join(), /^"A", "aws": has an address that no upstream may have/);
    t.notRegex(read.notes.join(), /secret|169/);
  }
});

test("deployments are read by what they are called, and what is gone is left out", (t) => {
  const { aws } = DEPLOYMENTS;
  const expected = {
    instance: aws.instance_name,
    cluster: aws.cluster,
    machineType: "g5.xlarge",
    tier: "a10g",
  };
  check(t, [aws], { deployments: [expected] });
  check(t, { nim_endpoints: [aws] }, { deployments: [expected] });
  check(
    t,
    [{ ...aws, status: "deleted" }, "x"],
    { deployments: [] },
    /1 \("FLUX Dev"\) is deleted/,
    /2 is no record/,
  );
  check(t, [DEPLOYMENTS.gcp], { deployments: [{ machineType: "n1-standard-4+nvidia-tesla-t4" }] });
});

test("unencrypted credentials are taken, with a warning", (t) => {
  const values = { aws: { "Access Key ID": "A" } };
  for (const file of [
    { nim_endpoints: {}, credentials: { encrypted: false, credentials: values } },
    { nim_endpoints: {}, credentials: values },
    values,
  ]) {
    const { credentials, notes } = readConfig(file);
    t.deepEqual(credentials.kind === "plain" && credentials.values.open(), values);
    t.regex(notes.join(), /unencrypted: whoever can read it/);
  }
});

test("A59: another version and what is of no use are told, and reading goes on", (t) => {
  check(t, { version: "9", nim_endpoints: one }, { endpoints: [FLUX] }, /version is not 1\.0/);
  for (const value of [null, 1, "a", true])
    check(t, value, { endpoints: [] }, /neither a mapping nor a list/);
  check(t, { nim_endpoints: 7 }, { endpoints: [] }, /no mapping/);
  check(t, { nim_endpoints: { A: 1, B: { aws: 1 } } }, { endpoints: [] }, /"A" is no mapping/, /"B", "aws"/);
});

test("no more endpoints and oddities are kept than a policy could hold", (t) => {
  const list = Array.from({ length: 2000 }, (_, at) => ({ url: `http://h${at}:8000` }));
  const { endpoints, notes } = readConfig({ nim_endpoints: { A: { aws: list } } });
  t.is(endpoints.length, 500);
  t.regex(notes.join(), /2000 endpoints: only the first 500/);
  const odd = Object.fromEntries(list.map((_, at) => [`node ${at}`, 1]));
  t.is(readConfig({ nim_endpoints: odd }).notes.length, 101);
});

test("no JSON at all makes the reader throw", (t) => {
  const key = fc.constantFrom(
    "nim_endpoints",
    "endpoints",
    "credentials",
    "credentials_status",
    "aws",
    "url",
    "FLUX Dev",
    "__proto__",
    "gpu_tier",
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.string(),
      fc.integer(),
      fc.constant(null),
      fc.constant(true),
      tie("object"),
      fc.array(tie("value"), { maxLength: 3 }),
    ),
    object: fc.dictionary(key, tie("value"), { maxKeys: 4 }),
  }));
  fc.assert(
    fc.property(value, (any) => Array.isArray(readConfig(any).notes)),
    { numRuns: 500 },
  );
  t.pass();
});

test("what is no such file says why and what to do, and nothing of what is in it", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "budgetguard-techops-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "a.json");
  const why = (bytes: string | Buffer) => {
    writeFileSync(path, bytes);
    const read = readJsonFile(path);
    return read.kind === "json" ? "json" : read.why;
  };
  t.regex(why('{"a": "hidden'), /^is not JSON, or only a part of it: run TechOps'/);
  t.notRegex(why('{"a": "hidden'), /hidden/);
  t.regex(why(Buffer.from([0xff, 0xfe, 0x00])), /^is not UTF-8/);
  t.regex(why(" ".repeat(LARGEST_BYTES + 1)), /^is larger than 1024 KiB/);
  t.regex(why("[".repeat(100_000)), /^nests more than 32 levels/);
  t.is(why(`\uFEFF${"[".repeat(DEEPEST)}${"]".repeat(DEEPEST)}`), "json");
  t.is(why(JSON.stringify({ a: "[".repeat(100) })), "json");
  t.like(readJsonFile(join(folder, "none.json")), { isMissing: true });
  t.like(readJsonFile(join(path, "none.json")), { isMissing: true });
  mkdirSync(join(folder, "dir"));
  t.like(readJsonFile(join(folder, "dir")), { kind: "unusable", isMissing: false });
  t.is(readJsonFile(techopsPath(BACKEND)).kind, "json");
  t.is(readJson(new Uint8Array()).kind, "unusable");
});
